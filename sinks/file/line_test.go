package file

import (
	"encoding/json"
	"testing"

	"cdc/sinks"
)

func TestLines(t *testing.T) {
	header := func(name string, value []byte) sinks.Header { return sinks.Header{Name: name, Value: value} }
	tests := []struct {
		message sinks.Message
		want    string
	}{
		{sinks.Message{Key: []byte(`{"id":1}`), Value: []byte(`[1,"a"]`)}, `{"offset":7,"part":1,"key":{"id":1},"value":[1,"a"]}`},
		{sinks.Message{Key: []byte(`1`)}, `{"offset":7,"part":1,"key":1,"value":null}`},
		{sinks.Message{Value: []byte("{\n\t\"a\":\r\n1}")}, "{\"offset\":7,\"part\":1,\"key\":null,\"value\":{ \t\"a\":  1}}"},
		{sinks.Message{Key: []byte{}, Value: []byte{0, 0, 0, 0, 1, 2}}, `{"offset":7,"part":1,"key_base64":"","value_base64":"AAAAAAEC"}`},
		{sinks.Message{Value: []byte("\"\xff\"")}, `{"offset":7,"part":1,"key":null,"value_base64":"Iv8i"}`},
		{
			sinks.Message{Headers: []sinks.Header{header("a", []byte(`"x"`)), header("b", nil), header("c", []byte{0xff})}},
			`{"offset":7,"part":1,"key":null,"value":null,"headers":[{"name":"a","value":"\"x\""},{"name":"b","value":null},{"name":"c","value_base64":"/w=="}]}`,
		},
	}
	for _, test := range tests {
		test.message.Identity = sinks.Identity{Offset: 7, Part: 1}
		got := string(appendLine(nil, &test.message))
		if got != test.want+"\n" || !json.Valid([]byte(got)) {
			t.Errorf("got %swant %s", got, test.want)
		}
	}
}
