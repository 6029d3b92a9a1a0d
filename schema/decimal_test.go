package schema

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustDecimal(tb rapid.TB, text string) []byte {
	packed, err := ParseDecimal(nil, []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

func TestDecimalPacksEqualPartsEqually(t *testing.T) {
	want := AppendDecimal(nil, DecimalParts{Weight: 1, Scale: 2, Digits: []uint16{1, 2345, 6000}})
	for name, d := range map[string]DecimalParts{
		"leading zeros":  {Weight: 3, Scale: 2, Digits: []uint16{0, 0, 1, 2345, 6000}},
		"trailing zeros": {Weight: 1, Scale: 2, Digits: []uint16{1, 2345, 6000, 0, 0}},
	} {
		if got := AppendDecimal(nil, d); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
	if got := mustDecimal(t, "12345.60"); !bytes.Equal(got, want) {
		t.Errorf("12345.60 is %x, want %x", got, want)
	}
	if got := AppendDecimalInt64(nil, 1234560, 2); !bytes.Equal(got, want) {
		t.Errorf("1234560 × 10^-2 is %x, want %x", got, want)
	}
	zero := AppendDecimal(nil, DecimalParts{Negative: true, Weight: 9, Scale: 2, Digits: []uint16{0}})
	if !bytes.Equal(zero, mustDecimal(t, "0.00")) || !bytes.Equal(zero, mustDecimal(t, "-0.00")) {
		t.Errorf("zero is %x", zero)
	}
	if got := AppendDecimalText(nil, AppendDecimal(nil, DecimalParts{Weight: -1, Digits: []uint16{1200}})); string(got) != "0.12" {
		t.Errorf("a scale hides digits: %s", got)
	}
}

func TestDecimalTextIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packed := drawDecimal(t)
		if !ValidDecimal(packed) {
			t.Fatalf("%x is not valid", packed)
		}
		if parts, ok := ReadDecimal(packed, nil); !ok || !bytes.Equal(AppendDecimal(nil, parts), packed) {
			t.Fatalf("%x comes apart as %+v", packed, parts)
		}
		text := AppendDecimalText(nil, packed)
		if again := mustDecimal(t, string(text)); !bytes.Equal(again, packed) {
			t.Fatalf("%s parses to %x, want %x", text, again, packed)
		}
	})
}

func TestDecimalComparesByValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawDecimal(t), drawDecimal(t)
		want := orderOfDecimals(string(AppendDecimalText(nil, a)), string(AppendDecimalText(nil, b)))
		if got := CompareDecimal(a, b); got != want {
			t.Fatalf("%s and %s compare as %d, want %d", AppendDecimalText(nil, a), AppendDecimalText(nil, b), got, want)
		}
	})
}

// int128 takes a decimal's text apart with big numbers.
func int128(text string, scale int) (*big.Int, bool) {
	v, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
	if scale < 0 {
		v.Quo(v, new(big.Rat).SetInt(power))
	} else {
		v.Mul(v, new(big.Rat).SetInt(power))
	}
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	if !v.IsInt() || v.Num().Cmp(limit) >= 0 || v.Num().Cmp(new(big.Int).Neg(limit)) < 0 {
		return nil, false
	}
	return v.Num(), true
}

func checkIntegers(t rapid.TB, packed []byte, scale int) {
	t.Helper()
	text := string(AppendDecimalText(nil, packed))
	want, exact := int128(text, scale)
	hi, lo, ok := DecimalInt128(packed, scale)
	if ok != exact {
		t.Fatalf("%s × 10^%d: exact is %t", text, scale, ok)
	}
	small, smallOK := DecimalInt64(packed, scale)
	if smallOK != (exact && want.IsInt64()) || smallOK && small != want.Int64() {
		t.Fatalf("%s × 10^%d: %d, %t", text, scale, small, smallOK)
	}
	if !ok {
		return
	}
	got := new(big.Int).Lsh(big.NewInt(hi), 64)
	if got.Add(got, new(big.Int).SetUint64(lo)); got.Cmp(want) != 0 {
		t.Fatalf("%s × 10^%d: %s, want %s", text, scale, got, want)
	}
}

func TestDecimalIntegersAreExactOrRefused(t *testing.T) {
	for _, text := range []string{
		"170141183460469231731687303715884105727", "170141183460469231731687303715884105728", "-170141183460469231731687303715884105728",
		"-170141183460469231731687303715884105729", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "0", "0.0001", "10000", "1e38", "1e39", "1e100", "1e-38", "1e4000", "0.5", "1.50", "NaN", "Infinity",
	} {
		for scale := -40; scale <= 40; scale++ {
			checkIntegers(t, mustDecimal(t, text), scale)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		checkIntegers(t, drawDecimal(t), rapid.IntRange(-25, 25).Draw(t, "scale"))
	})
}

func TestDecimalOfAnInt64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := int64(drawInt(t, 64))
		scale := rapid.IntRange(-5, 30).Draw(t, "scale")
		packed := AppendDecimalInt64(nil, v, scale)
		if got, exact := DecimalInt64(packed, scale); !ValidDecimal(packed) || !exact || got != v {
			t.Fatalf("%d × 10^%d becomes %s", v, -scale, AppendDecimalText(nil, packed))
		}
	})
	if got := AppendDecimalText(nil, AppendDecimalInt64(nil, math.MinInt64, 2)); string(got) != "-92233720368547758.08" {
		t.Errorf("got %s", got)
	}
}

func TestDecimalFromTheWireRefusesDamage(t *testing.T) {
	good := "\x00\x02\x00\x00\x00\x00\x00\x02\x00\x01\x13\x88" // 1.50
	packed, err := AppendDecimalPG(nil, []byte(good))
	if err != nil || string(AppendDecimalText(nil, packed)) != "1.50" {
		t.Fatalf("got %x, %v", packed, err)
	}
	for name, wire := range map[string]string{
		"nothing":         "",
		"header cut":      good[:7],
		"digits cut":      good[:11],
		"a digit more":    good + "\x00\x01",
		"huge count":      "\xff\xff" + good[2:],
		"unknown sign":    good[:4] + "\x12\x34" + good[6:],
		"digit too large": good[:8] + "\x27\x10" + good[10:],
		"hidden digits":   good[:6] + "\x00\x00" + good[8:],
		"scale too large": good[:6] + "\x40\x00" + good[8:],
		"weight too low":  "\x00\x02\x80\x00\x00\x00\x00\x02\x00\x00\x00\x01",
	} {
		if dst, err := AppendDecimalPG([]byte("before"), []byte(wire)); !errors.Is(err, ErrDecimal) || string(dst) != "before" {
			t.Errorf("%s: %q, %v", name, dst, err)
		}
	}
}

func TestDecimalsOfTheLargestSize(t *testing.T) {
	for _, text := range []string{"1" + strings.Repeat("0", 131071), "0." + strings.Repeat("0", MaxDecimalScale-1) + "1", strings.Repeat("9", 131072) + "." + strings.Repeat("9", MaxDecimalScale)} {
		if got := AppendDecimalText(nil, mustDecimal(t, text)); string(got) != text {
			t.Errorf("%d digits print as %d", len(text), len(got))
		}
	}
}

func TestDamagedDecimalsAreNotValid(t *testing.T) {
	for name, packed := range map[string]string{
		"nothing":          "",
		"unknown class":    "\x03",
		"unknown bit":      "\x10",
		"negative NaN":     "\x81",
		"NaN with digits":  "\x01\x00",
		"header cut":       "\x00\x00\x00\x00",
		"half a digit":     "\x00\x00\x00\x00\x00\x01",
		"negative zero":    "\x80\x00\x00\x00\x00",
		"zero with weight": "\x00\x00\x00\x01\x00",
		"digit too large":  "\x00\x00\x00\x00\x00\x10\x27",
		"leading zero":     "\x00\x00\x00\x01\x00\x00\x00\x01\x00",
		"trailing zero":    "\x00\x00\x00\x01\x00\x01\x00\x00\x00",
		"hidden digits":    "\x00\x00\x00\xff\xff\x01\x00",
		"scale too large":  "\x00\x00\x40\x00\x00\x01\x00",
	} {
		if ValidDecimal([]byte(packed)) {
			t.Errorf("%s is accepted", name)
		}
		if parts, ok := ReadDecimal([]byte(packed), nil); ok || parts.Class != DecimalNaN {
			t.Errorf("%s comes apart as %+v", name, parts)
		}
		AppendDecimalText(nil, []byte(packed)) // must not panic
		CompareDecimal([]byte(packed), []byte(packed))
		DecimalInt128([]byte(packed), 3)
	}
}
