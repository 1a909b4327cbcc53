// Package fresh says whether a bundle is older than it may be.
//
// A signature says who made a bundle, and not that it is the newest: a mirror may serve an
// old one for ever, or again. Revisions are therefore ordered, [Compare], a bundle that
// went forwards does not go backwards, [Floors], and one may say how long it holds,
// [Expired]. What has no order, cannot be read or is not written as it has to be is an
// error: there is no revision that compares as lower or higher than everything.
//
// This package knows texts, a time that it is handed, and one file. It opens no connection.
package fresh

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels tell refusals apart, with errors.Is.
var (
	// ErrUnordered is a revision that does not say what comes before it.
	ErrUnordered = errors.New("revision has no order")
	// ErrBackwards is a bundle that is older than the minimum, or than one that was active.
	ErrBackwards = errors.New("bundle goes backwards")
	// ErrExpired is a bundle whose time is over.
	ErrExpired = errors.New("it expired")
)

// maxRevision bounds the bytes of a revision: a time, a version and a commit have room.
const maxRevision = 256

// Compare orders two revisions: -1 where a is older than b, 0 where neither is, 1 where a
// is newer. A revision is numbers separated by dots, with an optional leading v; what
// follows the first - or + is ignored, and a number that is not there is zero. Numbers have
// any size. An error that is [ErrUnordered] says which of both has no order.
func Compare(a, b string) (int, error) {
	left, err := parse(a)
	if err != nil {
		return 0, err
	}
	right, err := parse(b)
	if err != nil {
		return 0, err
	}
	for i := range max(len(left), len(right)) {
		if order := compareNumbers(at(left, i), at(right, i)); order != 0 {
			return order, nil
		}
	}
	return 0, nil
}

// parse returns the numbers of a revision, without leading zeros: zero is empty.
func parse(revision string) ([]string, error) {
	if len(revision) > maxRevision {
		return nil, fmt.Errorf("%w: got %d bytes, want at most %d", ErrUnordered, len(revision), maxRevision)
	}
	numbers := strings.TrimPrefix(revision, "v")
	if end := strings.IndexAny(numbers, "-+"); end >= 0 {
		numbers = numbers[:end]
	}
	parts := strings.Split(numbers, ".")
	for i, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return nil, fmt.Errorf("%w: got %q, want numbers separated by dots, as in 42, 2026.11.26.3 or v1.4.0+3ae5", ErrUnordered, revision)
		}
		parts[i] = strings.TrimLeft(part, "0")
	}
	return parts, nil
}

func at(numbers []string, i int) string {
	if i < len(numbers) {
		return numbers[i]
	}
	return ""
}

// compareNumbers orders decimal numbers that have no leading zeros: the longer one is
// larger, whatever a machine's integers hold.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// Expired refuses what holds no longer: from that time on. The zero time is never.
func Expired(at, now time.Time) error {
	if at.IsZero() || now.Before(at) {
		return nil
	}
	return fmt.Errorf("%w at %s", ErrExpired, at.UTC().Format(time.RFC3339))
}

// cut keeps what a message says of strangers' text within bounds.
func cut(text string) string {
	if len(text) > maxRevision {
		return text[:maxRevision] + "…"
	}
	return text
}
