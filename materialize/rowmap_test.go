package materialize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"cdc/schema"
)

func TestRowMapEqualsAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m, model := rowMap{seed: 7}, map[string]string{}
	key := func() []byte { return binary.BigEndian.AppendUint32(nil, r.Uint32N(3000)) }
	for step := range 150_000 {
		k := key()
		switch {
		case r.IntN(3) > 0:
			row := bytes.Repeat([]byte{byte(step)}, r.IntN(400))
			if step%1000 == 0 {
				row = bytes.Repeat([]byte{1}, 3*chunkBytes/2) // a record larger than a chunk
			}
			m.put(k, m.hash(k), uint32(step), row)
			model[string(k)] = string(row)
		case step%40_000 == 7:
			m.clear()
			clear(model)
		default:
			m.remove(k, m.hash(k))
			delete(model, string(k))
		}
		if got := m.lookup(k, m.hash(k)); (got != nil) != (model[string(k)] != "" || hasKey(model, k)) || got != nil && string(got.row()) != model[string(k)] {
			t.Fatalf("step %d: key %x", step, k)
		}
	}
	seen := 0
	m.each(func(rec record) bool {
		seen++
		if model[string(rec.key())] != string(rec.row()) {
			t.Fatalf("key %x", rec.key())
		}
		return true
	})
	if seen != len(model) || m.live != len(model) {
		t.Fatalf("%d rows, %d live, want %d", seen, m.live, len(model))
	}
}

func hasKey(m map[string]string, k []byte) bool { _, ok := m[string(k)]; return ok }

func TestRowMapGivesDeadRowsBack(t *testing.T) {
	m := rowMap{}
	for i := range 200_000 {
		k := binary.BigEndian.AppendUint32(nil, uint32(i))
		m.put(k, m.hash(k), 1, bytes.Repeat([]byte{1}, 1000))
		if i >= 100 {
			old := binary.BigEndian.AppendUint32(nil, uint32(i-100))
			m.remove(old, m.hash(old))
		}
	}
	if m.memory() > 4*compactBytes {
		t.Fatalf("100 rows of 1 kB take %d bytes", m.memory())
	}
}

func TestSpilledBlockThatChangedIsNotServed(t *testing.T) {
	f, err := newSpillFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block, err := f.write([]byte("some entries"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.f.WriteAt([]byte{'S'}, block.at); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read(block, nil); !errors.Is(err, errSpill) {
		t.Fatalf("read: %v", err)
	}
}

func sortedIDs(t *testing.T, table *schema.Table, ids []int, o Options) (out []int64) {
	s := NewSorter(table, o)
	for _, id := range ids {
		if err := s.Add(view(table, pack(t, table, fmt.Sprint(id), "x", "1"))); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Rows()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for {
		_, row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, row.Int(0))
	}
}

func TestSorterSortsInMemoryAndInRuns(t *testing.T) {
	table := ordersTable("orders", 1)
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	ids := rand.New(rand.NewPCG(3, 4)).Perm(5000)
	for i := range ids {
		ids[i] -= 2500
	}
	want := make([]int64, len(ids))
	for i, id := range ids {
		want[i] = int64(id)
	}
	slices.Sort(want)
	for _, memory := range []int64{0, 32 << 10} {
		if got := sortedIDs(t, table, ids, Options{MemoryBytes: memory, SpillDir: t.TempDir()}); !slices.Equal(got, want) {
			t.Errorf("memory %d: out of order or incomplete", memory)
		}
	}
}
