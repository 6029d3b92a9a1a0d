package sources_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cdc/sources"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	s := sources.Secret("hunter2")
	encoded, err := json.Marshal(struct{ P sources.Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", s)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %q", s, s, s, s), string(encoded), log.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
	}
}
