package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// knownName is the file of a folder that keeps its sources.
const knownName = "sources.json"

// Known is a source as a folder keeps it, so that a later run needs no DSN. It holds no secret.
type Known struct {
	Name              string   `json:"name"`
	DSN               string   `json:"dsn"`
	Tables            []string `json:"tables,omitempty"`
	AppendOnly        []string `json:"append_only,omitempty"`
	Publication       string   `json:"publication,omitempty"`
	Slot              string   `json:"slot,omitempty"`
	CopyReaders       int      `json:"copy_readers,omitempty"`
	CopyRowsPerSecond int      `json:"copy_rows_per_second,omitempty"`
	MaxHeldWAL        int64    `json:"max_held_wal,omitempty"`
	ServerID          uint32   `json:"server_id,omitempty"`
	MaxClockSkew      string   `json:"max_clock_skew,omitempty"`
}

// Known is the source as its folder may keep it.
func (s *Source) Known() Known {
	k := Known{
		Name: s.Name, DSN: s.DSN.WithoutPassword(), Tables: s.Tables, AppendOnly: s.AppendOnly, Publication: s.Publication,
		Slot: s.Slot, CopyReaders: s.CopyReaders, CopyRowsPerSecond: s.CopyRowsPerSecond, MaxHeldWAL: s.MaxHeldWAL, ServerID: s.ServerID,
	}
	if s.MaxClockSkew != 0 {
		k.MaxClockSkew = s.MaxClockSkew.String()
	}
	return k
}

// values are the settings of the source as text, as if a file had said so.
func (k *Known) values() map[string]value {
	values := map[string]value{}
	set := func(key string, texts ...string) {
		if len(texts) > 0 && texts[0] != "" {
			values[key] = value{texts: texts, origin: "the folder"}
		}
	}
	set("dsn", k.DSN)
	set("tables", k.Tables...)
	set("append_only", k.AppendOnly...)
	set("publication", k.Publication)
	set("slot", k.Slot)
	number := func(key string, n int64) {
		if n != 0 {
			set(key, strconv.FormatInt(n, 10))
		}
	}
	number("copy_readers", int64(k.CopyReaders))
	number("copy_rows_per_second", int64(k.CopyRowsPerSecond))
	number("max_held_wal", k.MaxHeldWAL)
	number("server_id", int64(k.ServerID))
	set("max_clock_skew", k.MaxClockSkew)
	return values
}

// ReadKnown reads the sources that the folder keeps; a folder without any has none.
func ReadKnown(dir string) ([]Known, error) {
	b, err := os.ReadFile(filepath.Join(dir, knownName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the folder's sources: %w", err)
	}
	var known []Known
	if err := json.Unmarshal(b, &known); err != nil {
		return nil, fmt.Errorf("read the folder's sources in %s: %w", filepath.Join(dir, knownName), err)
	}
	for _, k := range known {
		if _, err := time.ParseDuration(k.MaxClockSkew); k.MaxClockSkew != "" && err != nil {
			return nil, fmt.Errorf("read the folder's sources in %s: %w", filepath.Join(dir, knownName), err)
		}
	}
	return known, nil
}

// WriteKnown keeps the sources in the folder. The file is replaced whole, so that a crash leaves the old one or the new.
func WriteKnown(dir string, known []Known) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep the folder's sources: %w", err)
		}
	}()
	b, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, knownName+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(dir, knownName))
}

// Remember adds the source to what is known, in the place of an earlier one of its name.
func Remember(known []Known, k Known) []Known {
	if i := slices.IndexFunc(known, func(o Known) bool { return o.Name == k.Name }); i >= 0 {
		known = slices.Clone(known)
		known[i] = k
		return known
	}
	return append(slices.Clone(known), k)
}

// Forget removes the named source from what is known.
func Forget(known []Known, name string) []Known {
	return slices.DeleteFunc(slices.Clone(known), func(k Known) bool { return k.Name == name })
}
