// Package file writes messages to files, as lines of JSON: one object a message, one folder a topic. docs/formats/files.md describes
// them; package folder finishes files and knows which are finished.
package file
