// Package sources brings databases' changes into the log. Ingest is the main path: it streams a Source into a changelog.Log,
// completes rows on the way, and acknowledges to the source only what the log has made durable.
//
// There are few nouns. A Source is one database that is tailed. A Writer puts a source's transactions into the log, whole. A Stop
// is a named reason to go no further (see G2); every other error of a source is retried.
package sources
