package watch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// unreachable is a resource of an API server that is not there.
type unreachable struct{ dynamic.ResourceInterface }

func (unreachable) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return nil, errors.New("connection refused")
}

// TestOneSaysThatItCannotBeRead, and ends nothing.
func TestOneSaysThatItCannotBeRead(t *testing.T) {
	t.Parallel()
	one := NewOne(unreachable{}, "Secret a/b", "b", slog.New(slog.DiscardHandler))
	if _, err := one.source.ListWithContext(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("got a list, want the cause")
	}
	if got := one.Problems(); len(got) != 1 || !strings.Contains(got[0].String(), "Secret a/b: stale since") || !strings.Contains(got[0].Cause, "connection refused") {
		t.Errorf("got %v, want what cannot be read and why", got)
	}
}
