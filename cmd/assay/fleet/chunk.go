package fleet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// maxChunk bounds a chunk as it is stored: hundreds of times OPA's default.
	maxChunk = 8 << 20
	// maxUnpacked bounds what it unpacks to: decision logs shrink to a tenth or so.
	maxUnpacked = 256 << 20
	// maxEvent bounds a line: a review, which has three megabytes at most, and what was decided of it.
	maxEvent = 8 << 20
)

// The paths of decisions in the log.
const (
	pathAdmission = "assay/admission/decision"
	pathMutation  = "assay/mutation/decision"
)

// event is what of an entry of OPA's decision log (EventV1) is counted.
type event struct {
	Path      string    `json:"path"`
	Timestamp time.Time `json:"timestamp"`
	Input     struct {
		Request struct {
			Namespace string `json:"namespace"`
		} `json:"request"`
	} `json:"input"`
	Result *result         `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// result is what is counted of a decision of ours.
type result struct {
	Allowed *bool `json:"allowed"`
	Images  []struct {
		Image    string   `json:"image"`
		Policies []policy `json:"policies"`
	} `json:"images"`
	Rego []policy `json:"rego"`
}

type policy struct {
	Name    string `json:"name"`
	Mode    string `json:"mode"`
	Outcome string `json:"outcome"`
}

// failed says whether the policy denies: one that only warns does not.
func (p policy) failed() bool { return p.Outcome == "failed" && p.Mode != "warn" }

// readChunk counts the entries of a chunk since a time. What cannot be read is an error, beside what was counted
// before and after it.
func readChunk(data []byte, since time.Time, into *tally) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("chunk: %w", err)
	}
	limited := &io.LimitedReader{R: unzipped, N: maxUnpacked}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 64<<10), maxEvent)
	var errs []error
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := into.line(lines.Bytes(), since); err != nil && len(errs) < 1 {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		errs = append(errs, fmt.Errorf("chunk: got a line of more than %d bytes", maxEvent))
	case err != nil:
		errs = append(errs, fmt.Errorf("chunk: %w", err))
	case limited.N <= 0:
		errs = append(errs, fmt.Errorf("chunk: got more than %d bytes unpacked", maxUnpacked))
	}
	return errors.Join(errs...)
}

// line counts one entry.
func (t *tally) line(text []byte, since time.Time) error {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		t.Unreadable++
		return err
	}
	if e.Timestamp.Before(since) {
		return nil
	}
	t.newest = later(t.newest, e.Timestamp)
	switch {
	case e.Path != pathAdmission && e.Path != pathMutation:
		t.Others++
	case e.Result == nil || e.Result.Allowed == nil:
		t.Decisions++
		t.Undecided++
	case *e.Result.Allowed && e.Path == pathMutation: // the same review is asked about again, and counted then
	case *e.Result.Allowed:
		t.Decisions++
	default:
		t.Decisions++
		t.Denials++
		t.denial(e)
	}
	return nil
}
