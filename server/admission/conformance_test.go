package admission

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// broken are the reviews of the conformance data that nobody could answer, and why.
func broken(name string) string {
	switch name {
	case "connaisseur-21_broken_admission_request.json", "connaisseur-26_broken_update_admission_request.json":
		return "request.uid: got none, want the uid that the answer repeats"
	default:
		return ""
	}
}

// TestReviewsOfOtherProjects reads real reviews, broken ones included.
func TestReviewsOfOtherProjects(t *testing.T) {
	t.Parallel()
	root := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if root == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the folder of conformance data")
	}
	listing, err := os.ReadFile(filepath.Join(root, "admission", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]struct{ APIVersion, Operation string }
	if err := json.Unmarshal(listing, &expected); err != nil {
		t.Fatal(err)
	}
	for name, want := range expected {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join(root, "admission", name))
			if err != nil {
				t.Fatal(err)
			}
			review, err := Decode(body)
			if why := broken(name); why != "" {
				if err == nil || err.Error() != why {
					t.Fatalf("got %v, want %q", err, why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if review.APIVersion != want.APIVersion || review.Operation != want.Operation {
				t.Errorf("got %s %s, want %s %s", review.APIVersion, review.Operation, want.APIVersion, want.Operation)
			}
			if _, err := Respond(review, Validation, Verdict{}); err != nil {
				t.Error(err)
			}
		})
	}
}
