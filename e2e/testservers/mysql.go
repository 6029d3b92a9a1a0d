package testservers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// MySQLOptions says how to start a server that speaks the protocol of MySQL.
// The zero value starts the newest MySQL of 'make setup' in a temporary folder
// on a free port, with all that capture asks of the binary log, and without
// waiting for the disk.
type MySQLOptions struct {
	Flavour        Flavour           // "" = MySQL
	Name           string            // shown in logs; "" = the flavour
	Version        string            // "9.7", "10.11"; "" = the newest
	Dir            string            // kept after Stop; "" = a temporary folder, removed by Stop
	Port           int               // 0 = a free one
	ServerID       uint32            // 0 = 1
	Settings       map[string]string // system variables, over the defaults of this package
	NoBinlog       bool              // no binary log, and no GTIDs
	CompressBinlog bool              // transactions (MySQL) or events (MariaDB) compressed in the binary log
	TLS            bool              // own CA and certificate; plaintext over TCP is then refused
	Durable        bool              // log and binary log on the disk before a commit returns
	Log            *slog.Logger      // what is done to the server; nil = nothing
}

// MySQL is a server of MySQL or MariaDB. Its methods may be called
// concurrently; those that change its state run one at a time.
type MySQL struct {
	daemon
	o        MySQLOptions
	install  mysqlInstall
	super    string // name of the superuser
	password string // of the superuser
	ca       string // file; "" = no TLS
	primary  *MySQL // of a replica

	usersMu   sync.Mutex // guards passwords
	passwords map[string]string
}

// StartMySQL starts a server and returns when it accepts connections. The
// server lives until Stop or until this process ends; ctx bounds the start only.
func StartMySQL(ctx context.Context, o MySQLOptions) (*MySQL, error) {
	m, err := prepareMySQL(o)
	if err != nil {
		return nil, err
	}
	if err := m.create(ctx); err != nil {
		m.discard()
		return nil, fmt.Errorf("create data in %s: %w", m.dir, err)
	}
	if err := m.firstStart(ctx); err != nil {
		m.discard()
		return nil, err
	}
	return m, nil
}

// prepareMySQL finds the binaries, makes the folder and its watchdog, and
// starts nothing.
func prepareMySQL(o MySQLOptions) (*MySQL, error) {
	o.Flavour = cmp.Or(o.Flavour, FlavourMySQL)
	o.Name = cmp.Or(o.Name, string(o.Flavour))
	o.ServerID = cmp.Or(o.ServerID, 1)
	settings := map[string]string{}
	maps.Copy(settings, o.Settings)
	o.Settings = settings // RestartWith changes it
	inst, err := findMySQL(o.Flavour, o.Version)
	if err != nil {
		return nil, err
	}
	acc, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := acc.enters(inst.bin()); err != nil {
		return nil, fmt.Errorf("use binaries of %s %s: %w; set CDC_CACHE to a public folder", o.Flavour.binaries().product, inst.version, err)
	}
	m := &MySQL{o: o, install: inst, super: mysqlSuperuser, passwords: map[string]string{}}
	m.daemon = daemon{
		kind: m, name: o.Name, version: inst.version, log: o.Log, account: acc, host: loopback,
		port: o.Port, choosePort: o.Port == 0, stopSignal: syscall.SIGTERM,
	}
	// A killed server leaves nothing outside its folder, so the watchdog need not wait.
	if err := m.open(o.Dir, watch{executable: inst.executable}); err != nil {
		return nil, err
	}
	if o.TLS {
		m.ca = m.CAFile()
	}
	return m, nil
}

// command is the server with its settings as arguments, which no file of this
// machine can change.
func (m *MySQL) command() *exec.Cmd {
	return exec.Command(m.install.server, m.arguments()...)
}

// configure does nothing: the port is an argument.
func (m *MySQL) configure() error { return nil }

// accepting reports whether the process has said so in the log. What came
// before its first line is of another.
func (m *MySQL) accepting(pid int) bool {
	text, err := os.ReadFile(m.logFile())
	if err != nil {
		return false
	}
	first := fmt.Sprintf("as process %d\n", pid)
	start := strings.LastIndex(string(text), first)
	return start >= 0 && strings.Contains(string(text[start:]), ": ready for connections")
}

// RestartWith is Restart with other settings, over those that the server has.
// Like every fast shutdown of MySQL it takes some nine seconds while somebody
// reads the binary log, whom the server lets finish; Kill before it does not.
func (m *MySQL) RestartWith(ctx context.Context, settings map[string]string) error {
	m.mu.Lock()
	maps.Copy(m.o.Settings, settings)
	m.mu.Unlock()
	return m.Restart(ctx)
}

// Flavour tells MySQL from MariaDB.
func (m *MySQL) Flavour() Flavour { return m.o.Flavour }

// Socket is the path of the Unix socket; "" where the folder's name is too
// long for one.
func (m *MySQL) Socket() string {
	if m.watchdog == nil || m.socketDir() == "" {
		return ""
	}
	return m.socketPath()
}
