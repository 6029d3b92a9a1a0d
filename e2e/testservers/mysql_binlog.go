package testservers

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// BinlogPosition is where the binary log of a server ends.
type BinlogPosition struct {
	File   string
	Offset uint64
	GTIDs  string // gtid_executed of MySQL, gtid_binlog_pos of MariaDB
}

// BinlogEnd is where the binary log ends.
func (m *MySQL) BinlogEnd(ctx context.Context) (BinlogPosition, error) {
	statements := "SHOW BINARY LOG STATUS; SELECT replace(@@global.gtid_executed, '\n', '')"
	if m.o.Flavour == FlavourMariaDB {
		statements = "SHOW MASTER STATUS; SELECT @@global.gtid_binlog_pos"
	}
	out, err := m.SQL(ctx, "", statements)
	if err != nil {
		return BinlogPosition{}, fmt.Errorf("find end of binlog: %w", err)
	}
	status, gtids, _ := strings.Cut(out, "\n")
	fields := strings.Split(status, "|")
	// MySQL's status ends with the GTIDs again, one server a line.
	gtids = gtids[strings.LastIndexByte(gtids, '\n')+1:]
	if len(fields) < 2 {
		return BinlogPosition{}, fmt.Errorf("find end of binlog: %s has none", m.name)
	}
	offset, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return BinlogPosition{}, fmt.Errorf("find end of binlog: %w", err)
	}
	return BinlogPosition{File: fields[0], Offset: offset, GTIDs: gtids}, nil
}

// BinlogFiles are the names of the files of the binary log, oldest first.
func (m *MySQL) BinlogFiles(ctx context.Context) ([]string, error) {
	out, err := m.SQL(ctx, "", "SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("list binlog: %w", err)
	}
	var names []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "|")
		names = append(names, name)
	}
	return names, nil
}

// RotateBinlog makes the binary log go on in a new file.
func (m *MySQL) RotateBinlog(ctx context.Context) error {
	_, err := m.SQL(ctx, "", "FLUSH BINARY LOGS")
	return err
}

// purgeLimit bounds the wait for a file to be free: MariaDB lets go of the last
// one in the background.
const purgeLimit = 5 * time.Second

// PurgeBinlog goes on in a new file and removes all before it, as if they had
// expired. It fails when a reader holds one of them.
func (m *MySQL) PurgeBinlog(ctx context.Context) error {
	if err := m.RotateBinlog(ctx); err != nil {
		return fmt.Errorf("purge binlog: %w", err)
	}
	end, err := m.BinlogEnd(ctx)
	if err != nil {
		return fmt.Errorf("purge binlog: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, purgeLimit)
	defer cancel()
	var files []string
	err = poll(ctx, func() (bool, error) {
		// A server that keeps a file says so in a warning only.
		if _, err := m.SQL(ctx, "", "PURGE BINARY LOGS TO "+quoteMySQLText(end.File)); err != nil {
			return false, err
		}
		files, err = m.BinlogFiles(ctx)
		return err == nil && files[0] == end.File, err
	})
	if err != nil {
		return fmt.Errorf("purge binlog up to %s, %q are there: %w", end.File, files, err)
	}
	return nil
}

// ResetBinlog removes the whole binary log with its GTIDs and begins anew, as
// an administrator may do by mistake.
func (m *MySQL) ResetBinlog(ctx context.Context) error {
	statement := "RESET BINARY LOGS AND GTIDS"
	if m.o.Flavour == FlavourMariaDB {
		statement = "RESET MASTER"
	}
	if _, err := m.SQL(ctx, "", statement); err != nil {
		return fmt.Errorf("reset binlog: %w", err)
	}
	return nil
}
