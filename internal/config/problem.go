package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A Problem is one thing that is wrong.
type Problem struct {
	File    string // empty when it is not in a file
	Line    int    // of File; 0 when it is not in a line
	From    string // the flag or variable at fault, empty when it is none
	Setting string // its path, as in listeners[0].frame.length.width; may be empty
	Text    string // what is wrong, and what to do
}

func (p *Problem) Error() string {
	var b strings.Builder
	switch {
	case p.From != "":
		fmt.Fprintf(&b, "%s: ", p.From)
	case p.File != "":
		fmt.Fprintf(&b, "%s:", printable(p.File))
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:", p.Line)
		}
		b.WriteByte(' ')
	}
	if p.Setting != "" && p.From == "" {
		fmt.Fprintf(&b, "%s: ", p.Setting)
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is everything that is wrong, in the order of the lines.
type Problems []*Problem

// Error has a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// mostProblems is how many are told. Nobody reads on after so many.
const mostProblems = 100

// err returns the problems as an error, nil when there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b *Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	if more := len(p) - mostProblems; more > 0 {
		p = append(p[:mostProblems:mostProblems], &Problem{File: p[0].File, Text: fmt.Sprintf("and at least %d more problems", more)})
	}
	return p
}

// printable returns text as it is when it can stand in a line, or else quoted.
func printable(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Sprintf("%.64q", text)
	}
	return text
}

// didYouMean names what is written nearly like name.
func didYouMean(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := edits(name, k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// edits returns how many characters have to be changed, added, left out or swapped
// with the next to make a into b; 3 when there are more than two.
func edits(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	var before, last []int
	for i := range len(a) + 1 {
		row := make([]int, len(b)+1)
		for j := range row {
			switch {
			case i == 0 || j == 0:
				row[j] = i + j
				continue
			case a[i-1] == b[j-1]:
				row[j] = last[j-1]
			default:
				row[j] = 1 + min(last[j-1], last[j], row[j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], 3)
}
