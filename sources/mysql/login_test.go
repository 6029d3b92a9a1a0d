package mysql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/e2e/testservers"
	"cdc/sources"
)

// tryLogin logs in and out.
func tryLogin(s *Source) error {
	c, err := s.connect(context.Background())
	if err == nil {
		c.close()
	}
	return err
}

// refusedWith makes sure that an error is final, says something, and shows no password.
func refusedWith(t *testing.T, err error, mention string) {
	t.Helper()
	var refused *sources.Refused
	if !errors.As(err, &refused) || refused.Remedy == "" || !strings.Contains(err.Error(), mention) || strings.Contains(err.Error(), secretWord) {
		t.Errorf("got %v, want a refusal that mentions %q", err, mention)
	}
}

// account makes a user and returns a DSN that logs in as that one.
func account(t *testing.T, m *testservers.MySQL, name, clause string, statements ...string) string {
	t.Helper()
	name = m.Database(t) + name
	t.Cleanup(func() { _, _ = m.SQL(context.Background(), "", "DROP USER IF EXISTS "+name) })
	all := append([]string{"CREATE USER " + name + " " + clause}, statements...)
	if _, err := m.SQL(t.Context(), "", strings.ReplaceAll(strings.Join(all, ";"), "$user", name)); err != nil {
		t.Fatal(err)
	}
	return "mysql://" + name + ":" + secretWord + "@" + m.Addr() + "/"
}

const withPassword = "IDENTIFIED BY '" + secretWord + "'"

func TestLoginsThatAreRefused(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		refusedWith(t, tryLogin(sourceAt(t, "mysql://nobody:"+secretWord+"@"+m.Addr())), "refused the login")
		refusedWith(t, tryLogin(sourceAt(t, "mysql://nobody@"+m.Addr())), "no password was given")
		good := account(t, m, "_good", withPassword)
		if err := tryLogin(sourceAt(t, good)); err != nil {
			t.Errorf("the right password: %v", err)
		}
		wrong := tryLogin(sourceAt(t, strings.Replace(good, secretWord, "wrong", 1)))
		refusedWith(t, wrong, "right user and password")
		var reply *sources.Refused
		if errors.As(wrong, &reply); reply != nil && !reply.Password {
			t.Errorf("a password was given: %v", reply)
		}
		refusedWith(t, tryLogin(sourceAt(t, account(t, m, "_tls", withPassword+" REQUIRE SSL"))), "verify-full")
		refusedWith(t, tryLogin(sourceAt(t, account(t, m, "_locked", withPassword+" ACCOUNT LOCK"))), "ACCOUNT UNLOCK")
		busy := account(t, m, "_busy", withPassword+" WITH MAX_USER_CONNECTIONS 1")
		sessionAt(t, busy)
		var refused *sources.Refused
		if err := tryLogin(sourceAt(t, busy)); err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "max_user_connections") {
			t.Errorf("a server without room: %v", err)
		}
		var gone *sources.Refused
		if err := tryLogin(sourceAt(t, "mysql://u@127.0.0.1:1/")); err == nil || errors.As(err, &gone) {
			t.Errorf("nobody listens: %v", err)
		}
	})
}

// Every way to log in with a password works, also when the server remembers nothing of it and must be given its proof in full.
func TestWaysToLogIn(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		clauses := []string{"IDENTIFIED WITH caching_sha2_password BY '" + secretWord + "'", "IDENTIFIED WITH sha256_password BY '" + secretWord + "'"}
		if m.Flavour() == testservers.FlavourMariaDB {
			clauses = []string{"IDENTIFIED VIA mysql_native_password USING PASSWORD('" + secretWord + "')"}
			// Not every installation has this one.
			if _, err := m.SQL(t.Context(), "", "INSTALL SONAME 'auth_ed25519'"); err == nil || strings.Contains(err.Error(), "already installed") {
				clauses = append(clauses, "IDENTIFIED VIA ed25519 USING PASSWORD('"+secretWord+"')")
			}
		}
		for i, clause := range clauses {
			text := account(t, m, fmt.Sprintf("_way%d", i), clause)
			for range 2 { // the second may be quicker
				if err := tryLogin(sourceAt(t, text)); err != nil {
					t.Errorf("%s: %v", clause, err)
				}
			}
			refusedWith(t, tryLogin(sourceAt(t, strings.Replace(text, secretWord, "wrong", 1))), "refused the login")
		}
		if m.Socket() == "" {
			return
		}
		text := account(t, m, "_socket", withPassword)
		c := sessionAt(t, strings.Replace(text, m.Addr(), "", 1)+"?socket="+m.Socket())
		if c.conn.RemoteAddr().Network() != "unix" {
			t.Error("the session does not use the socket")
		}
	})
}

func TestTLSWithServers(t *testing.T) {
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			m := testservers.StartMySQLFor(t, testservers.MySQLOptions{Flavour: f, TLS: true})
			db := m.Database(t)
			full := m.DSN(m.Role(t, testservers.MySQLCaptureRole{Databases: []string{db}}), db)
			base, _, _ := strings.Cut(full, "?")
			ca, other := m.CAFile(), filepath.Join(t.TempDir(), "other.crt")
			writeCA(t, other)

			for _, keys := range []string{"tls_ca=" + ca, "tls=verify-full&tls_ca=" + ca, "tls=verify-ca&tls_ca=" + ca, "tls=require"} {
				c := sessionAt(t, base+"?"+keys)
				if r, err := c.one("SHOW STATUS LIKE 'Ssl_version'"); err != nil || !strings.HasPrefix(r[1].s, "TLSv1") {
					t.Errorf("%s: %v %v", keys, r, err)
				}
			}
			refusedWith(t, tryLogin(sourceAt(t, base)), "tls=verify-full")
			for _, keys := range []string{"tls=verify-full&tls_ca=" + other, "tls=verify-ca&tls_ca=" + other, "tls=verify-full"} {
				refusedWith(t, tryLogin(sourceAt(t, base+"?"+keys)), "give the CA")
			}
			s := sourceAt(t, full)
			s.dsn.tls.ServerName = "db.example.com"
			refusedWith(t, tryLogin(s), "by a name that the certificate holds")
			s = sourceAt(t, base+"?tls=verify-ca&tls_ca="+ca)
			s.dsn.tls.ServerName = "db.example.com"
			if err := tryLogin(s); err != nil {
				t.Errorf("another name than the certificate's: %v", err)
			}
			found, err := sourceAt(t, full).Doctor(t.Context())
			if err != nil || !strings.Contains(fmt.Sprint(found), "by TLS 1.") {
				t.Errorf("%v %v", found, err)
			}
		})
	}
	t.Run("server without", func(t *testing.T) {
		m := testservers.SharedMySQL(t, testservers.FlavourMariaDB)
		refusedWith(t, tryLogin(sourceAt(t, account(t, m, "_plain", withPassword)+"?tls=require")), "give the server a certificate")
	})
}

// fakeServer answers each connection with what serve does, and is asked by a source.
func fakeServer(t *testing.T, serve func(net.Conn)) *Source {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return sourceAt(t, "mysql://u:"+secretWord+"@"+l.Addr().String()+"/")
}

func packetOf(sequence byte, payload string) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence}, payload...)
}

// greeting is what a server of no TLS says first, with a way to log in.
func greeting(method string) []byte {
	return packetOf(0, "\x0a8.4.0\x00\x01\x00\x00\x00saltsalt\x00\xff\xf7\x2d\x02\x00\xff\xdf\x15"+strings.Repeat("\x00", 10)+"saltsaltsalt\x00"+method+"\x00")
}

func TestServersThatMisbehaveInALogin(t *testing.T) {
	const ok = "\x00\x00\x00\x02\x00\x00\x00"
	receive := func(c net.Conn) string {
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		return string(b[:n])
	}
	leaked := make(chan string, 100)
	ask := func(what string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Write(greeting("mysql_native_password"))
			receive(c)
			_, _ = c.Write(packetOf(2, what))
			leaked <- receive(c)
		}
	}
	for name, test := range map[string]struct {
		serve   func(net.Conn)
		refused bool
		mention string
	}{
		"closes":               {func(net.Conn) {}, false, "connect to"},
		"empty greeting":       {func(c net.Conn) { _, _ = c.Write(packetOf(0, "")) }, false, "cannot be read"},
		"short greeting":       {func(c net.Conn) { _, _ = c.Write(packetOf(0, "\x0a8.4.0\x00\x01")) }, false, "cannot be read"},
		"another protocol":     {func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, false, "connect to"},
		"too many":             {func(c net.Conn) { _, _ = c.Write(packetOf(0, "\xff\x10\x04Too many connections")) }, false, "max_connections"},
		"host refused":         {func(c net.Conn) { _, _ = c.Write(packetOf(0, "\xff\x6a\x04Host '10.0.0.9' is not allowed")) }, true, "CREATE USER"},
		"unknown method":       {func(c net.Conn) { _, _ = c.Write(greeting("dialog")) }, true, "way to log in"},
		"clear text":           {ask("\xfemysql_clear_password\x00"), true, "encrypt it"},
		"clear text at once":   {func(c net.Conn) { _, _ = c.Write(greeting("mysql_clear_password")) }, true, "encrypt it"},
		"unknown method later": {ask("\xfedialog\x00"), true, "way to log in"},
		"short salt":           {ask("\xfemysql_native_password\x00abc"), false, "cannot be read"},
		"no key":               {ask("\xfesha256_password\x00" + strings.Repeat("x", 20)), false, "connect to"},
		"a name that echoes":   {func(c net.Conn) { _, _ = c.Write(packetOf(0, "\xff\x15\x04#28000no "+secretWord)) }, true, "no ***"},
		"a file": {func(c net.Conn) {
			_, _ = c.Write(greeting("mysql_native_password"))
			receive(c)
			_, _ = c.Write(packetOf(2, ok))
			receive(c)
			_, _ = c.Write(packetOf(1, "\xfb/etc/passwd"))
			leaked <- receive(c)
		}, false, "a file of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tryLogin(fakeServer(t, test.serve))
			var refused *sources.Refused
			if err == nil || errors.As(err, &refused) != test.refused || !strings.Contains(err.Error(), test.mention) || strings.Contains(err.Error(), secretWord) {
				t.Errorf("got %v, want it to mention %q", err, test.mention)
			}
		})
	}
	for len(leaked) > 0 {
		if text := <-leaked; strings.Contains(text, secretWord) || strings.Contains(text, "root:") {
			t.Errorf("the server was given %q", text)
		}
	}
}

func TestALoginEndsInTime(t *testing.T) {
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	s := fakeServer(t, silent)
	s.dsn.timeout = 50 * time.Millisecond
	start := time.Now()
	var refused *sources.Refused
	if err := tryLogin(s); err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "no login within 50ms") {
		t.Errorf("got %v", err)
	}
	s.dsn.timeout = time.Minute
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	if _, err := s.connect(ctx); !errors.Is(err, cause) {
		t.Errorf("got %v, want the context's cause", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestTheEndOfTheContextEndsAStatementAtOnce(t *testing.T) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) {
		text := account(t, m, "_slow", withPassword)
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		c, err := sourceAt(t, text).connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		start := time.Now()
		time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
		if _, err := c.query("SELECT SLEEP(30)"); !errors.Is(err, cause) || time.Since(start) > 10*time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		c = sessionAt(t, text)
		c.patience(50 * time.Millisecond)
		if _, err := c.query("SELECT SLEEP(30)"); err == nil || !strings.Contains(err.Error(), "silent for 50ms") {
			t.Errorf("a silent server: %v", err)
		}
	})
}

// A row as long as a packet may be, and longer, comes whole; an error in between leaves the session fit for use.
func TestLongRows(t *testing.T) {
	m := testservers.SharedMySQL(t, testservers.FlavourMySQL)
	c := sessionAt(t, account(t, m, "_long", withPassword))
	const lengthBytes = 4
	for _, n := range []int{0, 250, 251, 1 << 16, partMax - lengthBytes - 1, partMax - lengthBytes, partMax - lengthBytes + 1, 2*partMax + 7} {
		r, err := c.one(fmt.Sprintf("SELECT REPEAT('a', %d)", n))
		if err != nil || len(r) != 1 || len(r[0].s) != n || strings.Trim(r[0].s, "a") != "" {
			t.Fatalf("%d bytes: %v", n, err)
		}
		err = c.exec("SELECT nonsense")
		if codeOf(err) != mysql.ER_BAD_FIELD_ERROR {
			t.Fatal(err)
		}
		if _, again := c.one("SELECT 'something else that is longer'"); again != nil || !strings.Contains(err.Error(), "'nonsense'") {
			t.Fatalf("the error's text changes: %v, %v", err, again)
		}
	}
}

type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Whatever a server answers is a result or an error.
func FuzzResult(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x01\x01\x01\x00\x00\x02x\x05\x00\x00\x03\xfe\x00\x00\x00\x00\x02\x00\x00\x04\x01a\x05\x00\x00\x05\xfe\x00\x00\x00\x00"))
	f.Add([]byte("\x09\x00\x00\x01\xff\x15\x04#28000no"))
	f.Add([]byte("\x01\x00\x00\x01\xfb"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := &session{in: bufio.NewReader(bytes.NewReader(answer)), wire: &wire{writer: discard{}}, ended: func() error { return nil }}
		rows, err := c.query("SELECT 1")
		size := 0
		for _, r := range rows {
			for _, v := range r {
				size += len(v.s)
			}
		}
		if err == nil && size > len(answer) {
			t.Fatalf("%d bytes of values in %d", size, len(answer))
		}
	})
}
