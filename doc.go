// Package cdc is the root of the module. It holds no code: the program is in
// cmd/cdc, the vocabulary in changelog and schema, and the tests beside this
// file check the rules that the whole tree keeps.
package cdc
