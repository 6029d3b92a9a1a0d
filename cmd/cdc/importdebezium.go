package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"cdc/cmd/cdc/internal/debezium"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
)

type importDebeziumCmd struct {
	Path string `arg:"" name:"file" help:"The connector's configuration: what Kafka Connect's REST interface takes, or a file of properties."`
}

// Help describes the verb with examples.
func (importDebeziumCmd) Help() string {
	return `Translates the configuration of a Debezium connector for PostgreSQL, MySQL or MariaDB into a file for 'cdc run -c', which it prints, and says on stderr of each property what became of it. Passwords are not repeated: they become variables. It connects to nothing.

Examples:

	cdc import-debezium connector.json > cdc.yaml
	curl -s http://connect.example:8083/connectors/shop | cdc import-debezium /dev/stdin > cdc.yaml`
}

// maxConnectorBytes bounds a connector's file.
const maxConnectorBytes = 1 << 20

// Run prints the translation.
func (c *importDebeziumCmd) Run(_ context.Context, app *App) error {
	fail := func(err error) error {
		return &exit.Error{Code: exit.Usage, What: err.Error(), Where: c.Path, Remedy: "give the JSON of the connector, as GET /connectors/NAME of Kafka Connect answers it", Err: err}
	}
	f, err := os.Open(c.Path)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxConnectorBytes))
	if err != nil {
		return fail(err)
	}
	connector, err := debezium.Read(text)
	if err != nil {
		return fail(err)
	}
	translation, err := debezium.Translate(connector)
	if err != nil {
		return fail(err)
	}
	if _, err := io.WriteString(app.Stdout, translation.YAML()); err != nil {
		return err
	}
	style := present.Style{Color: app.Color}
	for _, f := range translation.Findings {
		outcome := fmt.Sprintf("%-14s", f.Outcome)
		switch f.Outcome {
		case debezium.Unsupported, debezium.Unknown:
			outcome = style.Yellow(outcome)
		case debezium.Translated, debezium.Unneeded:
			outcome = style.Green(outcome)
		}
		if _, err := fmt.Fprintf(app.Stderr, "%s %-45s %s\n", outcome, present.Clean(f.Property), present.Clean(f.Note)); err != nil {
			return err
		}
	}
	return nil
}
