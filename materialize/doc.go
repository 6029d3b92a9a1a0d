// Package materialize rebuilds tables from the log: any table at any moment, the difference between two moments, and the history
// of a row.
//
// There are few nouns. A Moment is what a person writes ("LSN 0/16B", "2026-06-10", "20 seconds ago"). Resolve turns it into a
// changelog.Cut, one offset a source; whatever the moment was, everything after that means the same by "as of". A Request asks
// for one table at one offset, and Tables answers any number of them in one pass over the log. Tables is the one seam: SQL, the
// difference, the history and the checks all read through it.
//
// Nothing here keeps state of its own: every answer is a function of a prefix of the log.
package materialize
