package exit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/materialize"
	"cdc/sources"
)

func TestErrorsHaveTheirCodes(t *testing.T) {
	wrapped := func(err error) error { return errors.Join(errors.New("beside"), fmt.Errorf("around: %w", err)) }
	for _, test := range []struct {
		err  error
		want Code
		text string
	}{
		{&Error{Code: Differs, What: "x"}, Differs, "x"},
		{&sources.Stop{Stop: changelog.Stop{Kind: changelog.StopGap, Detail: "lost", Remedy: "resolve"}}, Stopped, "GAP: lost; resolve"},
		{&sources.Unfit{Detail: "no", Remedy: "do"}, Unfit, "no; do"},
		{&sources.Refused{Detail: "no", Remedy: "do"}, Unreachable, "no; do"},
		{&materialize.UnanswerableError{Moment: "m", Why: "w"}, Moment, "cannot answer at m: w"},
		{materialize.ErrMoment, Usage, "not a moment"},
		{&materialize.NameError{Kind: "table", Name: "x"}, Usage, "there is no table x; 'cdc tables'"},
		{changelog.ErrTrimmed, Moment, "older than"},
		{changelog.ErrInUse, InUse, "in use"},
		{changelog.ErrPoisoned, Log, "poisoned"},
		{changelog.ErrUnit, Log, "not a unit"},
		{changelog.ErrNoSpace, Disk, "no space"},
		{&changelog.CorruptError{File: "f", At: 7, What: "bad"}, Log, "f at byte 7: bad"},
		{ErrInterrupted, Interrupted, "interrupted"},
		{context.Canceled, Interrupted, "interrupted"},
		{errors.New("else"), Bug, "else"},
	} {
		e := Of(wrapped(test.err))
		if e.Code != test.want || !strings.Contains(e.Error(), test.text) {
			t.Errorf("%T is %d %q, want %d with %q", test.err, e.Code, e.Error(), test.want, test.text)
		}
		if e.Code != test.want || !errors.Is(e, test.err) && e != test.err {
			t.Errorf("%T is no cause of its classification", test.err)
		}
	}
}

func TestErrorsArePrintedForPeopleAndForScripts(t *testing.T) {
	var b strings.Builder
	e := &Error{Code: Usage, What: "two lines:\nhere", Where: "a.yaml:3", Remedy: "say <x>"}
	if code := Print(&b, fmt.Errorf("around: %w", e), false); code != Usage || b.String() != "cdc: a.yaml:3: two lines:\n     here; say <x>\n" {
		t.Errorf("%d %q", code, b.String())
	}
	b.Reset()
	if code := Print(&b, e, true); code != Usage || b.String() != `{"code":2,"message":"two lines:\nhere","where":"a.yaml:3","remedy":"say <x>"}`+"\n" {
		t.Errorf("%d %q", code, b.String())
	}
	b.Reset()
	if code := Print(&b, nil, true); code != OK || b.Len() != 0 {
		t.Errorf("%d %q", code, b.String())
	}
}

func TestCodesAreDocumentedOnce(t *testing.T) {
	seen := map[Code]bool{}
	for _, m := range Meanings() {
		if seen[m.Code] || m.Text == "" {
			t.Errorf("code %d", m.Code)
		}
		seen[m.Code] = true
	}
	if len(seen) != 13 {
		t.Errorf("%d codes", len(seen))
	}
}
