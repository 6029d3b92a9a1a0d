package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// verification is the source's tables at the consistent point of a temporary slot, which it holds with its snapshot until it is
// closed.
type verification struct {
	at   Position
	s    *Source
	v    *view
	ws   *walsender
	held map[uint32]published
}

// Verification implements sources.Database.
func (s *Source) Verification(ctx context.Context) (sources.Verification, error) {
	ws, err := s.connectWalsender(ctx)
	if err != nil {
		return nil, err
	}
	ver, err := s.verifyOn(ctx, ws)
	if err != nil {
		closeConn(ws.PgConn)
		return nil, err
	}
	return ver, nil
}

func (s *Source) verifyOn(ctx context.Context, ws *walsender) (*verification, error) {
	is, err := identify(ctx, ws)
	if err != nil {
		return nil, err
	}
	c, err := s.openCatalog(ctx)
	if err != nil {
		return nil, err
	}
	version := c.version
	c.close()
	e, err := createSlot(ctx, ws, randomName("cdc_verify_"), true, version)
	if err != nil {
		return nil, err
	}
	v, err := s.openView(ctx, e)
	if err != nil {
		return nil, err
	}
	held, err := v.readPublished(ctx, s.publications().names())
	if err != nil {
		v.close()
		return nil, err
	}
	return &verification{
		at: Position{Timeline: is.timeline, Commit: e.point, End: e.point}, s: s, v: v, ws: ws, held: held,
	}, nil
}

// randomName is a name that nobody else uses.
func randomName(prefix string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return prefix + hex.EncodeToString(b[:])
}

// Position implements sources.Verification: the snapshot holds every transaction whose commit ends at or before its End.
func (ver *verification) Position() changelog.Position { return FormatPosition(ver.at) }

// Time implements sources.Verification.
func (ver *verification) Time() changelog.Micros { return ver.v.taken }

// Read implements sources.Verification. Only the rows that the publication publishes are read.
func (ver *verification) Read(ctx context.Context, version *schema.Table, f func(row []byte) error) error {
	infos, err := ver.v.byOID(ctx, []uint32{version.SourceTable})
	if err != nil {
		return err
	}
	if len(infos) != 1 {
		return fmt.Errorf("read table %s: it does not exist at %s", version.FullName(), ver.at.End)
	}
	t := choice{tableInfo: infos[0], appendOnly: version.AppendOnly}
	t.filter = ver.held[t.oid].filter
	if err := ver.v.lock(ctx, []choice{t}); err != nil {
		return err
	}
	types := make([]uint32, len(version.Columns))
	for i := range version.Columns {
		types[i] = version.Columns[i].SourceType
	}
	if err := ver.v.types.load(ctx, types); err != nil {
		return err
	}
	table := ver.v.compile(t, version)
	return ver.s.readAll(ctx, ver.v, 1, []*copyTable{table}, func() (rowSink, func() error) {
		return func(_ *schema.Table, row []byte) error { return f(row) }, func() error { return nil }
	})
}

// Close gives the snapshot and the slot back.
func (ver *verification) Close() {
	ver.v.close()
	closeConn(ver.ws.PgConn)
}
