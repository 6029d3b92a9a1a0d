package materialize

import (
	"slices"
	"strings"
)

// mostEdits is how far a name may be from the one given to be offered.
const mostEdits = 3

// mostNearest is how many names are offered for one that is not known.
const mostNearest = 3

// nearest are the candidates that a mistyped name may have meant, best first.
func nearest(name string, candidates []string) []string {
	type scored struct {
		name     string
		distance int
	}
	var near []scored
	for _, c := range candidates {
		d := editDistance(strings.ToLower(name), strings.ToLower(c))
		if d <= min(max(2, len(name)/3), mostEdits) {
			near = append(near, scored{c, d})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return a.distance - b.distance })
	var names []string
	for _, s := range near {
		if len(names) < mostNearest && !slices.Contains(names, s.name) { // two schemas may have a table of that name
			names = append(names, s.name)
		}
	}
	return names
}

// editDistance is how many characters must be put in, taken out or replaced to turn a into b.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}

func sameFold(a, b string) bool { return strings.EqualFold(a, b) }
