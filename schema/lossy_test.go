package schema

import "testing"

func TestEveryKindDeclaresEveryProjection(t *testing.T) {
	for k := Invalid; int(k) < len(kinds); k++ {
		for _, p := range []Projection{ProjectDuckDB, ProjectJSON, ProjectAvro} {
			if got := k.Projected(p); (got.As == "") == k.Valid() {
				t.Errorf("%s in %s is %+v", k, p, got)
			}
		}
	}
	if got := Kind(200).Projected(ProjectJSON); got != (Projected{}) {
		t.Errorf("an unknown kind is %+v", got)
	}
	if got := Int8.Projected(99); got != (Projected{}) {
		t.Errorf("an unknown projection is %+v", got)
	}
}
