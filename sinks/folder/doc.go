// Package folder keeps a folder of finished files, each change in exactly one of them, for the sinks whose destination is files. A
// Format says what lies in the files.
//
// Files are written in rounds. A round takes whole units, and puts what they say into files of a working folder, where no reader
// looks. It ends after a time or a size: its files are completed and made durable, then one small file, the commit, is replaced; it
// names the last unit of the round and all of its files. That is the moment at which the round has arrived, all of it or nothing.
// Only then are the files renamed to where readers look, and a crash in between is caught up with on Open. So the folder itself knows
// how far it stands, in one number, whatever becomes of the files that it has handed over: their reader may move or remove them.
//
// The layout is described in docs/formats/files.md.
package folder
