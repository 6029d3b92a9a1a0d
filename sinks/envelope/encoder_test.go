package envelope

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/sinks"
)

// messagesOf prints all of the messages of a unit.
func messagesOf(t *testing.T, o Options, u *changelog.Unit) []string {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	err = e.Encode(context.Background(), u, func(m *sinks.Message) error {
		all = append(all, fmt.Sprintf("%s %v %s %s %s", m.Topic, m.Identity, m.Headers, m.Key, m.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A transaction whose changes lie in a side segment gives the messages that it would give otherwise, piece by piece.
func TestEncodeReadsSideSegmentsInPieces(t *testing.T) {
	r := newBenchRig(t)
	const changes = 50
	raw := manyChanges(r, benchUnits[2].line, changes)
	var u changelog.Unit
	decode(t, r, raw, &u)
	want := messagesOf(t, r.options, &u)

	var b, piece changelog.UnitBuilder
	b.Reset(changelog.UnitTx)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First, b.Meta.XID, b.Meta.Position = 1, 1, 100, 7, "5000"
	b.Meta.CommitTime, b.Meta.Clock = 1700000000123456, 1700000000123999
	b.SetSide(changelog.SideRef{ID: 1, Changes: changes})
	b.AddSideChanges(changes)
	raw, err := b.AppendUnit(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := changelog.DecodeUnit(raw, &u); err != nil {
		t.Fatal(err)
	}
	given := 0
	u.Attach(r.catalog, nil, func() ([]byte, error) {
		if given == changes {
			return nil, io.EOF
		}
		given += 10
		piece.Reset(changelog.UnitTx)
		for range 10 {
			r.change(&piece, benchUnits[2].line)
		}
		return bytes.Clone(piece.TakeChanges()), nil
	})
	got := messagesOf(t, r.options, &u)
	if len(want) != 2+3*changes || len(got) != len(want) {
		t.Fatalf("%d messages, %d from a side segment", len(want), len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("message %d:\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

// What an encoder has encoded before changes nothing: a unit's messages are the same after a restart.
func TestEncodeForgetsEarlierUnits(t *testing.T) {
	r := newBenchRig(t)
	r.options.TopicPrefix = "p"
	e, err := New(r.options)
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range benchUnits {
		raw := manyChanges(r, unit.line, 3)
		var u changelog.Unit
		decode(t, r, raw, &u)
		want := messagesOf(t, r.options, &u)
		for range 2 {
			decode(t, r, raw, &u)
			i := 0
			err := e.Encode(context.Background(), &u, func(m *sinks.Message) error {
				if got := fmt.Sprintf("%s %v %s %s %s", m.Topic, m.Identity, m.Headers, m.Key, m.Value); got != want[i] {
					return fmt.Errorf("message %d is\n%s\nwant\n%s", i, got, want[i])
				}
				i++
				return nil
			})
			if err != nil || i != len(want) {
				t.Fatalf("%s: %d of %d messages, %v", unit.name, i, len(want), err)
			}
		}
	}
}

// What changes of a unit have alike is written once: each message is the one that an encoder makes which writes everything anew.
func TestEncodeWritesWhatIsAlikeAsIfAnew(t *testing.T) {
	for _, connector := range []Connector{Postgres, MySQL} {
		t.Run(string(connector), func(t *testing.T) {
			r := newTestRig(t)
			r.addTable("a", "id integer key")
			r.addTable("b", "id integer key")
			source := r.options.Source
			r.options.Source = func(id changelog.SourceID) (Source, error) {
				s, err := source(id)
				s.Connector = connector
				return s, err
			}
			for _, kind := range []changelog.UnitKind{changelog.UnitTx, changelog.UnitCopy} {
				raw := r.rawOf(kind, "c a id=1", "c b id=1", "c a id=2", "c a id=3", "c b id=2")
				var u changelog.Unit
				encode := func(afresh bool) (messages []string) {
					decode(t, r, raw, &u)
					e, err := New(r.options)
					if err != nil {
						t.Fatal(err)
					}
					if err := e.Encode(t.Context(), &u, func(m *sinks.Message) error {
						messages = append(messages, fmt.Sprintf("%s %s %s", m.Topic, m.Key, m.Value))
						for _, table := range e.tables {
							if afresh {
								table.head.unit = 0
							}
						}
						return nil
					}); err != nil {
						t.Fatal(err)
					}
					return messages
				}
				if got, want := encode(false), encode(true); !slices.Equal(got, want) || len(got) != 5 {
					t.Errorf("units of kind %v:\n%s\nanew:\n%s", kind, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

func TestEncodeNamesASourceItDoesNotKnow(t *testing.T) {
	r := newBenchRig(t)
	r.options.Source = func(changelog.SourceID) (Source, error) { return Source{Name: "x", Connector: "oracle"}, nil }
	raw := manyChanges(r, benchUnits[0].line, 1)
	var u changelog.Unit
	decode(t, r, raw, &u)
	e, err := New(r.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Encode(context.Background(), &u, func(*sinks.Message) error { return nil }); err == nil {
		t.Error("a source of an unknown kind is no error")
	}
}

// Two tables of one topic are a stop before either is published, also after a restart, when only one of them has been met; and the
// stop names the other pairs, which would be stops one after another.
func TestTablesOfOneTopicAreFoundInTheLog(t *testing.T) {
	r := newTestRig(t)
	for _, name := range []string{"x.a~b", "x.a_b", "x.alone", "x.c~d", "x.c_d", "x.c-d"} {
		r.addTable(name, "id bigint key")
	}
	r.options.Tables = r.catalog.Versions
	encode := func(table string) error {
		e, err := New(r.options)
		if err != nil {
			t.Fatal(err)
		}
		var u changelog.Unit
		decode(t, r, manyChanges(r, "c "+table+" id=1", 1), &u)
		return e.Encode(context.Background(), &u, func(*sinks.Message) error { return nil })
	}
	for _, table := range []string{"x.alone", "x.c-d"} {
		if err := encode(table); err != nil {
			t.Errorf("%s: %v", table, err)
		}
	}
	for _, table := range []string{"x.a~b", "x.a_b"} {
		err := encode(table)
		var stop *sinks.Stop
		if !errors.As(err, &stop) || stop.Kind != changelog.StopSchema {
			t.Fatalf("%s: %v, want a stop", table, err)
		}
		for _, want := range []string{`shop.x."a b" and shop.x.a_b have`, `so have shop.x."c d" and shop.x.c_d`, "'!shop.x.a_b'"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %s", table, err, want)
			}
		}
	}
}
