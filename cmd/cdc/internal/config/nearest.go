package config

import (
	"fmt"
	"strings"
)

// nearestDistance is how many letters may differ for a name to be what was meant.
const nearestDistance = 3

// didYouMean names the known name that looks most like the given one, or all of them.
func didYouMean(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known are " + strings.Join(known, ", ")
}

// nearest is the known name that looks most like the given one, or nothing when none does.
func nearest(name string, known []string) string {
	best, distance := "", nearestDistance+1
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if distance >= len(name) {
		return ""
	}
	return best
}

// editDistance is how many letters have to be put in, left out or replaced to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		corner := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := corner
			if a[i-1] != b[j-1] {
				change++
			}
			corner = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
