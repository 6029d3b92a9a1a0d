package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
)

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(_ context.Context, app *App) error {
	if app.JSON {
		return json.NewEncoder(app.Stdout).Encode(struct {
			Version string `json:"version"`
			Go      string `json:"go"`
			System  string `json:"system"`
			SQL     bool   `json:"sql"`
		}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, withSQL})
	}
	sql := "with SQL"
	if !withSQL {
		sql = "without SQL"
	}
	_, err := fmt.Fprintf(app.Stdout, "cdc %s (%s, %s/%s, %s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, sql)
	return err
}
