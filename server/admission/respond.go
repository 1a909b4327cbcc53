package admission

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Respond writes the answer to a review that Decode read.
func Respond(review Review, phase Phase, verdict Verdict) ([]byte, error) {
	response := &admissionv1.AdmissionResponse{
		UID:      types.UID(review.UID),
		Allowed:  verdict.Allowed,
		Warnings: lines(verdict.Warnings),
	}
	if !verdict.Allowed {
		response.Result = denial(phase, verdict)
	}
	// The API server refuses the answer of a validating webhook that patches.
	if verdict.Allowed && phase == Mutation && len(verdict.Patch) > 0 {
		patch, err := json.Marshal(verdict.Patch)
		if err != nil {
			return nil, fmt.Errorf("write patch: %w", err)
		}
		patchType := admissionv1.PatchTypeJSONPatch
		response.Patch, response.PatchType = patch, &patchType
	}
	answer, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{Kind: "AdmissionReview", APIVersion: review.APIVersion},
		Response: response,
	})
	if err != nil {
		return nil, fmt.Errorf("write review: %w", err)
	}
	return answer, nil
}

// mostText bounds the reasons, and the warnings, of one answer in bytes: an
// object may have hundreds of images, and each of them as many policies.
const mostText = 64 << 10

// Bounded is the verdict with no more text than people read; what is left out is
// counted.
func (v Verdict) Bounded() Verdict {
	v.Reasons, v.Warnings = bounded(v.Reasons), bounded(v.Warnings)
	return v
}

func bounded(texts []string) []string {
	size := 0
	for i, text := range texts {
		if size += len(text); size > mostText && i > 0 {
			return append(slices.Clone(texts[:i]), fmt.Sprintf("and %d more", len(texts)-i))
		}
	}
	return texts
}

// badRequest is the HTTP status code of every denial.
const badRequest = 400

// denial is the Status of every denial. A denial is a bad request (400), never
// forbidden (403): clients of policy-controller expect it so.
func denial(phase Phase, verdict Verdict) *metav1.Status {
	message := strings.Join(verdict.Reasons, "\n")
	if message == "" {
		message = "denied without a reason"
	}
	failed := phase.String()
	if verdict.Undecoded {
		failed = "decoding request"
	}
	return &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    badRequest,
		Reason:  metav1.StatusReasonBadRequest,
		Message: failed + " failed: " + message,
	}
}

// Failure is the answer to what is no review, as a Status: it is what API servers repeat to
// their users whatever its code is. Of plain text they do so for few codes.
func Failure(code int, message string) ([]byte, error) {
	return json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Message: message, //nolint:gosec // it is one of HTTP
	})
}

// lines splits texts into their lines: a warning travels in a header, which has
// but one.
func lines(texts []string) []string {
	var all []string
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				all = append(all, line)
			}
		}
	}
	return all
}
