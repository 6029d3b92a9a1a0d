package file

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"cdc/schema"
	"cdc/sinks"
)

// appendLine appends the message as one line.
func appendLine(dst []byte, m *sinks.Message) []byte {
	dst = strconv.AppendUint(append(dst, `{"offset":`...), uint64(m.Identity.Offset), 10)
	dst = strconv.AppendUint(append(dst, `,"part":`...), uint64(m.Identity.Part), 10)
	dst = appendContent(dst, "key", m.Key)
	dst = appendContent(dst, "value", m.Value)
	if len(m.Headers) > 0 {
		dst = append(dst, `,"headers":[`...)
		for i, h := range m.Headers {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = schema.AppendJSONString(append(dst, `{"name":`...), []byte(h.Name))
			dst = append(appendHeader(dst, h.Value), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, "}\n"...)
}

// appendContent adds a key or a value: null, JSON as it is, or else its bytes in base64 under a name that says so.
func appendContent(dst []byte, name string, content []byte) []byte {
	dst = append(append(dst, `,"`...), name...)
	switch {
	case content == nil:
		return append(dst, `":null`...)
	case !json.Valid(content) || !utf8.Valid(content):
		return appendBase64(append(dst, `_base64":`...), content)
	case bytes.IndexByte(content, '\n') < 0 && bytes.IndexByte(content, '\r') < 0:
		return append(append(dst, `":`...), content...)
	}
	// Outside of strings, where none can stand, a line break is a space.
	dst = append(dst, `":`...)
	for _, b := range content {
		if b == '\n' || b == '\r' {
			b = ' '
		}
		dst = append(dst, b)
	}
	return dst
}

func appendHeader(dst, value []byte) []byte {
	switch {
	case value == nil:
		return append(dst, `,"value":null`...)
	case utf8.Valid(value):
		return schema.AppendJSONString(append(dst, `,"value":`...), value)
	}
	return appendBase64(append(dst, `,"value_base64":`...), value)
}

func appendBase64(dst, content []byte) []byte {
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), content)
	return append(dst, '"')
}
