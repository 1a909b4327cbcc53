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

// event is what of an entry of OPA's decision log (EventV1) is counted. OPA's own type is of no
// use: what it writes as error it cannot read.
type event struct {
	Path      string    `json:"path"`
	Timestamp time.Time `json:"timestamp"`
	Input     struct {
		Request struct {
			Namespace string `json:"namespace"`
		} `json:"request"`
	} `json:"input"`
	Result *result `json:"result"`
}

// result is what is counted of a decision of ours.
type result struct {
	Allowed json.RawMessage `json:"allowed"` // a pointer would be set by what is no bool, too
	Images  []struct {
		Image    string   `json:"image"`
		Policies []policy `json:"policies"`
	} `json:"images"`
	Rego []policy `json:"rego"`
}

// verdict is what was decided: "true" or "false" that it is allowed, "" where nothing was.
func (r *result) verdict() string {
	if r == nil {
		return ""
	}
	switch string(r.Allowed) {
	case "true":
		return "true" // and no copy of it, of each of a million
	case "false":
		return "false"
	case "null":
		return ""
	}
	return string(r.Allowed)
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
	if err := e.read(text); err != nil {
		t.Unreadable++
		return err
	}
	if e.Timestamp.Before(since) {
		return nil
	}
	t.newest = later(t.newest, e.Timestamp)
	switch verdict := e.Result.verdict(); {
	case !e.ours():
		t.Others++
	case verdict == "":
		t.Decisions++
		t.Undecided++
	case verdict == "true" && e.Path == pathMutation: // the same review is asked about again, and counted then
	case verdict == "true":
		t.Decisions++
	default:
		t.Decisions++
		t.Denials++
		t.denial(e)
	}
	return nil
}

// read reads an entry. What is not of the form that we write is left out of it where that leaves
// what is counted: a mask writes anything in the place of an image or a name, and policies that are
// asked over the Data API answer anything.
func (e *event) read(text []byte) error {
	err := json.Unmarshal(text, e)
	var form *json.UnmarshalTypeError // after which the rest was read
	if err != nil && (!errors.As(err, &form) || e.Path == "" || e.Timestamp.IsZero()) {
		return err
	}
	verdict := e.Result.verdict()
	switch {
	case !e.ours(), verdict == "true", verdict == "false", verdict == "" && err == nil:
		return nil
	case err == nil:
		return fmt.Errorf("result.allowed: got %.40q, want true or false", verdict)
	}
	return err
}

// ours says that an entry is a decision of ours.
func (e *event) ours() bool { return e.Path == pathAdmission || e.Path == pathMutation }
