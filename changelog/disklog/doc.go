// Package disklog is the log on files: the Log that holds everything on one machine.
//
// One folder is one log. Units are appended in memory under a mutex, which gives them their offsets, and gathered into a group
// that the flusher goroutine writes as frames and makes durable with one fsync; while it does, the next group gathers. Readers see
// a unit only then. Files of a fixed size follow each other; a full one is sealed in the background into a smaller form with an
// index. The files are described in docs/formats/folder.md and segment.md.
//
// Two goroutines belong to a Log that is open for writing, the flusher and the sealer. They start in Open and end in Close: a log
// without them could not make anything durable.
package disklog
