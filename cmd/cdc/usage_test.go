package main

import (
	"errors"
	"strings"
	"testing"
)

// The parser's messages repeat what it does not understand.
func TestPasswordsInOddPlacesAreNotPrinted(t *testing.T) {
	err := usageError(errors.New("unexpected argument mysql://u:secret@h/d?tls=require"))
	if text := err.Error(); strings.Contains(text, "secret") || !strings.Contains(text, "mysql://u:***@h/d") {
		t.Errorf("printed %q", text)
	}
}
