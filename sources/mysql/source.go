package mysql

import (
	"log/slog"
)

// Kind is how the log names sources of this package.
const Kind = "mysql"

// Source is one server that is tailed.
type Source struct {
	o   Options
	dsn *dsn
	log *slog.Logger
}
