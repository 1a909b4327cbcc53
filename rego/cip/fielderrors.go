package cip

import (
	"cmp"
	"slices"
	"strings"
)

// Level tells errors from warnings.
type Level int

// The levels. The zero value refuses.
const (
	ErrorLevel Level = iota
	WarningLevel
)

// FieldError is one thing that is wrong, in one or more fields.
type FieldError struct {
	Level   Level
	Message string
	Paths   []string
	// Details is an optional second line.
	Details string
}

// FieldErrors are the things that are wrong in one document. Their text is
// that of knative's FieldError, which policy-controller's users know:
//
//	message: path, path
//	details
type FieldErrors []FieldError

// At returns those of one level.
func (e FieldErrors) At(level Level) FieldErrors {
	return slices.DeleteFunc(slices.Clone(e), func(f FieldError) bool { return f.Level != level })
}

// Merge joins what differs only in its paths, and sorts: paths in each error,
// errors by message, details and level.
func (e FieldErrors) Merge() FieldErrors {
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, compare)
	var merged FieldErrors
	for _, f := range sorted {
		if last := len(merged) - 1; last >= 0 && compare(merged[last], f) == 0 {
			merged[last].Paths = append(merged[last].Paths, f.Paths...)
			continue
		}
		f.Paths = slices.Clone(f.Paths)
		merged = append(merged, f)
	}
	for i := range merged {
		slices.Sort(merged[i].Paths)
		merged[i].Paths = slices.Compact(merged[i].Paths)
	}
	return merged
}

func compare(a, b FieldError) int {
	return cmp.Or(cmp.Compare(a.Message, b.Message), cmp.Compare(a.Details, b.Details), cmp.Compare(a.Level, b.Level))
}

// Error returns the merged errors, one or two lines each.
func (e FieldErrors) Error() string {
	var lines []string
	for _, f := range e.Merge() {
		lines = append(lines, f.Message+": "+strings.Join(f.Paths, ", "))
		if f.Details != "" {
			lines = append(lines, f.Details)
		}
	}
	return strings.Join(lines, "\n")
}
