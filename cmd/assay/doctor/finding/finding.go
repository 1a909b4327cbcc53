// Package finding has what a check says: on one line, with what to do about it.
package finding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/assay-dev/assay/cmd/assay/plain"
)

// Status is how a check ended.
type Status string

// The statuses. What could not be looked at is no pass.
const (
	Fine    Status = "ok"
	Warning Status = "warning"
	Failure Status = "failed"
	Unknown Status = "not checked"
)

// Finding is what a check says of one object. All of it is on one line each, and without what
// moves a cursor: parts of it are the words of strangers.
type Finding struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Object  string `json:"object"`
	Message string `json:"message"`
	// Fix is what to do about it, empty where there is nothing to do.
	Fix string `json:"fix"`
}

// Err says that something is wrong, or could not be looked at.
var Err = errors.New("findings")

func found(status Status, object, message, fix string) Finding {
	return Finding{Status: status, Object: plain.Line(object), Message: plain.Line(brief(message)), Fix: plain.Line(fix)}
}

// OK says what is as it should be.
func OK(object, format string, args ...any) Finding {
	return found(Fine, object, fmt.Sprintf(format, args...), "")
}

// Warned says what somebody should know. fix is what to do.
func Warned(object, fix, format string, args ...any) Finding {
	return found(Warning, object, fmt.Sprintf(format, args...), fix)
}

// Failed says what is wrong.
func Failed(object, fix, format string, args ...any) Finding {
	return found(Failure, object, fmt.Sprintf(format, args...), fix)
}

// NotChecked says why nobody knows. Where it is for a right, or for time, it says what to do.
func NotChecked(object string, err error) Finding {
	return found(Unknown, object, err.Error(), fixOf(err))
}

// Because is NotChecked with what to do.
func Because(object, fix string, err error) Finding { return found(Unknown, object, err.Error(), fix) }

// mostMessage bounds a message: that of a condition may have 4 KB of a compiler's lines.
const mostMessage = 1000

func brief(text string) string {
	if len(text) <= mostMessage {
		return text
	}
	return strings.ToValidUTF8(text[:mostMessage], "") + "…"
}

// Worst is [Err] where anything of the findings is no pass.
func Worst(findings []Finding) error {
	for _, f := range findings {
		if f.Status == Failure || f.Status == Unknown {
			return Err
		}
	}
	return nil
}

// Write prints findings in a form, text or json.
func Write(out io.Writer, format string, findings []Finding) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(findings)
	}
	var text strings.Builder
	counts := map[Status]int{}
	for _, f := range findings {
		counts[f.Status]++
		fmt.Fprintf(&text, "%-11s  %-12s  %s: %s\n", f.Status, f.Check, f.Object, f.Message)
		if f.Fix != "" {
			fmt.Fprintf(&text, "%-11s  %-12s  fix: %s\n", "", "", f.Fix)
		}
	}
	fmt.Fprintf(&text, "%d ok, %d warned of, %d failed, %d not checked\n", counts[Fine], counts[Warning], counts[Failure], counts[Unknown])
	_, err := io.WriteString(out, text.String())
	return err
}

// fixOf is what to do so that something can be looked at.
func fixOf(err error) string {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "run it as somebody who may read this: a kubeconfig of an administrator of the cluster"
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err), errors.Is(err, context.DeadlineExceeded):
		return "try again: the API server did not answer in time"
	}
	return ""
}
