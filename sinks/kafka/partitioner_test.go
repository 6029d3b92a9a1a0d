package kafka

import "testing"

// The vectors are those of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2IsThatOfTheJavaClient(t *testing.T) {
	for text, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(text))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestMessagesWithoutKeyKeepTheirOrder(t *testing.T) {
	if partitionOf(nil, 7) != 0 {
		t.Error("not the first partition")
	}
	if got, want := partitionOf([]byte{}, 7), int(murmur2(nil)&0x7fffffff)%7; got != want {
		t.Errorf("an empty key is in partition %d, want %d", got, want)
	}
}
