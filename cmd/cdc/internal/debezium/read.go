package debezium

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Connector is a connector's configuration: its name, empty when the file tells none, and its properties.
type Connector struct {
	Name       string
	Properties map[string]string
}

// Read reads what Kafka Connect's REST interface takes, an object of name and config, or the properties alone, as an object or as
// lines of key=value.
func Read(text []byte) (*Connector, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return readJSON(trimmed)
	}
	return readProperties(text)
}

func readJSON(text []byte) (*Connector, error) {
	var whole struct {
		Name   string                     `json:"name"`
		Config map[string]json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, fmt.Errorf("the file is no JSON object of a connector: %w", err)
	}
	c := &Connector{Name: whole.Name, Properties: map[string]string{}}
	raw := whole.Config
	if raw == nil {
		if err := json.Unmarshal(text, &raw); err != nil {
			return nil, fmt.Errorf("the file is no JSON object of properties: %w", err)
		}
	}
	for key, value := range raw {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			text = string(value) // a number or a boolean
		}
		c.Properties[key] = text
	}
	return c.checked()
}

func readProperties(text []byte) (*Connector, error) {
	c := &Connector{Properties: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d is no key=value", n)
		}
		c.Properties[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	return c.checked()
}

// checked takes the name from the properties when it is only there.
func (c *Connector) checked() (*Connector, error) {
	if c.Properties["connector.class"] == "" {
		return nil, errors.New(`the file has no property "connector.class"`)
	}
	if c.Name == "" {
		c.Name = c.Properties["name"]
	}
	return c, nil
}
