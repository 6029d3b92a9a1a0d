package kafka

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/sinks"
)

func TestWhereAPartitionGoesOn(t *testing.T) {
	at := func(offset changelog.Offset, end int64) found {
		return found{id: sinks.Identity{Offset: offset, Part: 3}, end: end}
	}
	saved := sinks.Identity{Offset: 50, Part: 255}
	for _, c := range []struct {
		name  string
		place place
		floor sinks.Identity
		lost  bool
		stop  bool
	}{
		{name: "new and empty", place: place{}, floor: sinks.Identity{Part: 255}},
		{name: "new, empty, met after a checkpoint", place: place{saved: 50}, floor: saved},
		{name: "holds more than the checkpoint", place: place{end: 9, last: at(60, 9), saved: 50}, floor: at(60, 0).id},
		{name: "holds less than the checkpoint, as few messages are for it", place: place{end: 9, last: at(20, 9), saved: 50}, floor: saved},
		{name: "without a checkpoint", place: place{end: 9, last: at(20, 9)}, floor: at(20, 0).id},
		{name: "emptied by retention", place: place{first: 9, end: 9, recorded: true, recordedEnd: 9, recordedLast: 40, saved: 50}, floor: saved},
		{name: "all compacted away", place: place{end: 9, recorded: true, recordedEnd: 9, recordedLast: 40, saved: 50}, floor: saved},
		{name: "emptied, and no checkpoint", place: place{first: 9, end: 9}, stop: true},
		{name: "emptied by others before the first message", place: place{first: 9, end: 9, saved: 50}, floor: saved},
		{name: "made anew", place: place{end: 1, recorded: true, recordedEnd: 9, recordedLast: 40, saved: 50}, stop: true},
		{name: "made anew while the sink wrote", place: place{end: 2, last: at(45, 2), recorded: true, recordedEnd: 9, recordedLast: 40, saved: 50}, stop: true},
		{name: "lost its end", place: place{end: 5, last: at(30, 5), recorded: true, recordedEnd: 9, recordedLast: 40, saved: 50}, floor: at(30, 0).id, lost: true},
		{name: "ahead of the log", place: place{end: 9, last: at(100, 9), saved: 50}, stop: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.place.next = 100
			floor, lost, err := c.place.resume("partition 0 of topic t")
			var stop *sinks.Stop
			if errors.As(err, &stop) != c.stop || (err != nil) != c.stop {
				t.Fatal(err)
			}
			if c.stop && (stop.Kind != changelog.StopDiverged || stop.Remedy == "") {
				t.Fatalf("%+v", stop)
			}
			if !c.stop && (floor != c.floor || lost != c.lost) {
				t.Errorf("floor %+v, lost %t; want %+v, %t", floor, lost, c.floor, c.lost)
			}
		})
	}
}

// What has arrived is compared with a model that keeps every message: the last unit before the first that has a message on its way.
func TestArrivedIsTheLastUnitWithAllBeforeIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		topics := map[string]*topic{"t": {name: "t"}}
		for range rapid.IntRange(1, 4).Draw(rt, "partitions") {
			topics["t"].partitions = append(topics["t"].partitions, &partition{})
		}
		partitions := topics["t"].partitions
		type message struct {
			unit    changelog.Offset
			arrived bool
		}
		var messages []*message
		content := make(map[*batch][]*message)
		var written, next changelog.Offset
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			p := partitions[rapid.IntRange(0, len(partitions)-1).Draw(rt, "partition")]
			switch rapid.SampledFrom([]string{"message", "commit", "cut", "depart", "arrive"}).Draw(rt, "step") {
			case "message":
				if p.filling == nil {
					p.filling = &batch{before: written}
				}
				m := &message{unit: next + 1}
				messages = append(messages, m)
				content[p.filling] = append(content[p.filling], m)
			case "commit":
				next++
				written = next
			case "cut":
				if p.filling != nil {
					p.full, p.filling = append(p.full, p.filling), nil
				}
			case "depart":
				p.depart()
			case "arrive":
				for _, m := range content[p.flight] {
					m.arrived = true
				}
				p.flight = nil
			}
			want := written
			for _, m := range messages {
				if !m.arrived {
					want = min(want, m.unit-1)
				}
			}
			if got := arrived(written, topics); got != want {
				rt.Fatalf("arrived %d, want %d", got, want)
			}
		}
	})
}

func TestStateIsReadBack(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, `{"topics":{"t":{"ends":[5,0],"last":[7,0]}}}`: true, `{"topics":{"t":{"ends":[5],"last":[]}}}`: false, `{`: false, `{"topics":{"t":{}}}`: false,
	} {
		_, _, err := parseState(sinks.Checkpoint{Offset: 1, State: []byte(text)})
		var stop *sinks.Stop
		if (err == nil) != ok || !ok && !errors.As(err, &stop) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAnswersOfTheBrokerMeanOneThing(t *testing.T) {
	for code, want := range map[int16]verdict{
		0: done, 3: again, 5: again, 6: again, 7: again, 8: again, 13: again, 19: again, 20: again, 14: again, 15: again, 16: again, 51: again,
		45: reopen, 59: reopen, 47: fenced, 90: fenced, 2: refuse, 10: refuse, 32: refuse, 87: refuse, 29: refuse, 58: refuse, 999: refuse,
	} {
		if got := judge(code); got != want {
			t.Errorf("code %d: %d, want %d", code, got, want)
		}
		if (problem("test", code, "") == nil) != (code == 0) {
			t.Errorf("code %d as an error: %v", code, problem("test", code, ""))
		}
	}
}
