package value

// jsonPrinter prints MySQL's binary JSON.
type jsonPrinter struct{}

// jsonValue sets column i to the text of a JSON document.
func (d *Decoder) jsonValue(_ int, _ []byte) error { return ErrUnsupported }
