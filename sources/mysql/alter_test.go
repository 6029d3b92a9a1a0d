package mysql

import "testing"

func TestAlterThatMayDropOrAddColumns(t *testing.T) {
	for _, test := range []struct {
		text        string
		drops, adds bool
	}{
		{"ALTER TABLE t DROP COLUMN a, ADD COLUMN a int DEFAULT 5", true, true},
		{"alter table t drop a", true, false},
		{"ALTER TABLE t DROP/**/COLUMN a", true, false},
		{"ALTER TABLE t DROP `index`, ADD `key` int", true, true},
		{"ALTER TABLE t DROP INDEX i, ADD UNIQUE KEY i (a), DROP PRIMARY KEY, ADD PRIMARY KEY (b)", false, false},
		{"ALTER TABLE t ALTER COLUMN a DROP DEFAULT, MODIFY b bigint", false, false},
		{"ALTER TABLE t ADD (a int, b int)", false, true},
		{"ALTER TABLE t COMMENT 'DROP it'", true, false}, // copied again for nothing
	} {
		if drops, adds := dropsColumn([]byte(test.text)), addsColumn([]byte(test.text)); drops != test.drops || adds != test.adds {
			t.Errorf("%s: drops %t, adds %t", test.text, drops, adds)
		}
	}
}
