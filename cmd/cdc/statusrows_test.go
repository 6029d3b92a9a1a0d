package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/sinks"
)

func TestStatusRowsOfSourcesAndSinks(t *testing.T) {
	status := &client.Status{
		Sources: []client.Source{{Name: "shop", Kind: "postgres", Phase: "streaming", Epoch: 1, Position: "0/1", Offset: 7, LagSeconds: -1, LagBytes: -1, HeldBytes: 5, Tables: 2}},
		Sinks: []client.Sink{
			{Name: "kafka", Kind: "kafka", Phase: "publishing", Offset: 6, LagOffsets: 1, Messages: 3, Bytes: 40, Waiting: 2, Retries: 1},
			{Name: "files", Kind: "file", Phase: "stopped", Stop: "DIVERGED", Error: "DIVERGED: so it is"},
		},
	}
	const want = "source,kind,phase,epoch,position,offset,clock,lag_seconds,lag_bytes,held_bytes,tables,untracked,stop,error,sink,lag_offsets,messages,bytes,waiting_bytes,retries\n" +
		"shop,postgres,streaming,1,0/1,7,,,,5,2,0,,,,,,,,\n" +
		",kafka,publishing,,,6,,,,,,,,,kafka,1,3,40,2,1\n" +
		",file,stopped,,,0,,,,,,,DIVERGED,DIVERGED: so it is,files,0,0,0,0,0\n"
	var out bytes.Buffer
	app := &App{Format: "csv", Stdout: &out, Stderr: &out}
	if err := app.printStatus(status); err != nil || out.String() != want {
		t.Errorf("printed %v\n%s", err, out.String())
	}
}

func TestStatusNamesTheStopOfASink(t *testing.T) {
	stop := &sinks.Stop{Kind: "DIVERGED", Detail: "so it is"}
	p := &publisher{spec: config.Sink{Name: "kafka", URL: "kafka://h"}, sink: idleSink{}}
	for _, test := range []struct {
		phase sinks.Phase
		err   error
		want  string
	}{
		{sinks.PhaseStopped, errors.Join(errors.New("around"), stop), "DIVERGED"},
		{sinks.PhaseStopped, errors.New("damaged"), ""},
		{sinks.PhasePublishing, nil, ""},
	} {
		p.enter(test.phase, test.err)
		if s := p.status(9); s.Stop != test.want || s.Kind != "kafka" || s.LagOffsets != 9 || s.Since.After(time.Now()) {
			t.Errorf("%s with %v: %+v", test.phase, test.err, s)
		}
	}
}

// idleSink has nothing to say.
type idleSink struct{ sinks.Sink }

func (idleSink) Progress() sinks.Progress  { return sinks.Progress{} }
func (idleSink) Arrived() sinks.Checkpoint { return sinks.Checkpoint{} }
