//go:build e2e

package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// seed is another one in each run, unless CDC_E2E_SEED says which.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("CDC_E2E_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("read CDC_E2E_SEED: %v", err)
	}
	return n
}

// seeded is a source of choices that can be repeated.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
