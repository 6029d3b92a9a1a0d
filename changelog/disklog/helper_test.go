package disklog_test

import (
	"errors"
	"io"
	"math/rand/v2"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
