package avro

import (
	"fmt"

	"github.com/hamba/avro/v2"
)

// Schema is a parsed schema. It is immutable and safe for concurrent use.
type Schema struct{ parsed avro.Schema }

// Parse reads a schema, which may use no type that it does not define.
func Parse(text []byte) (*Schema, error) {
	// A cache of its own: the library's would let a schema use types of any schema that was read before.
	parsed, err := avro.ParseBytesWithCache(text, "", &avro.SchemaCache{})
	if err != nil {
		return nil, fmt.Errorf("parse Avro schema: %w", err)
	}
	return &Schema{parsed: parsed}, nil
}

// Canonical is the schema in the parsing canonical form: what readers need to read values, and nothing else.
func (s *Schema) Canonical() string { return s.parsed.String() }

// Fingerprint is the SHA-256 of the canonical form.
func (s *Schema) Fingerprint() [32]byte { return s.parsed.Fingerprint() }
