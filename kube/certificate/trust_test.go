package certificate

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	client "k8s.io/client-go/rest"

	"github.com/assay-dev/assay/kube"
)

// TestConfigurationsThatAreMissing: of a name in Either one kind is enough. Whatever is
// missing, there is nothing to try again.
func TestConfigurationsThatAreMissing(t *testing.T) {
	t.Parallel()
	const validating, mutating = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"
	either, pins := Configurations{Either: []string{"a"}}, Configurations{Either: []string{"pins"}}
	for _, tt := range []struct {
		name  string
		of    Configurations
		there []string // kinds
		want  []string
	}{
		{"both are there", either, []string{validating, mutating}, nil},
		{"--mutate none: only the validating one is there", either, []string{validating}, nil},
		{"only the mutating one is there, which is of policies", either, []string{mutating}, nil},
		{"only the one that pins tags is there: nobody judges", pins, []string{mutating}, []string{validating + " pins"}},
		{"the one that judges is there, and no tag is pinned", pins, []string{validating}, nil},
		{"none of the name is there", either, nil, []string{mutating + " a", validating + " a"}},
		{"one that has to be there is not", Configurations{Validating: []string{"a"}, Mutating: []string{"a"}}, []string{validating}, []string{mutating + " a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trust := trustingSeen(tt.of, tt.there)
			for range 3 {
				spread, done := trust.write(t.Context(), []byte("bundle"), func() error { return nil })
				if !spread || !done {
					t.Errorf("got spread %v, done %v, want nothing left to do", spread, done)
				}
			}
			var got []string
			for _, problem := range trust.trouble.problems() {
				got = append(got, problem.What)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got problems with %q, want %q", got, tt.want)
			}
		})
	}
}

// What nobody has looked for yet is no problem of its twin.
func TestTwinThatWasNotListedYet(t *testing.T) {
	t.Parallel()
	trust := trustingSeen(Configurations{Either: []string{"a"}}, nil)
	trust.of[0].listed = false
	if spread, _ := trust.write(t.Context(), []byte("bundle"), func() error { return nil }); spread {
		t.Error("got it spread, want that it is not known")
	}
	if got := trust.trouble.problems(); len(got) > 0 {
		t.Errorf("got %v, want no problem yet", got)
	}
}

// trustingSeen is one that saw configurations, of the kinds that are there, which trust "bundle".
func trustingSeen(of Configurations, there []string) *trusting {
	nobody := dynamic.NewForConfigOrDie(&client.Config{Host: "127.0.0.1:1"})
	trust := newTrusting(&kube.Client{Interface: nobody}, of, make(chan struct{}, 1), slog.New(slog.DiscardHandler))
	for _, c := range trust.of {
		c.listed = true
		for _, kind := range there {
			if strings.HasPrefix(c.what, kind+" ") {
				c.object = &unstructured.Unstructured{Object: map[string]any{"webhooks": []any{map[string]any{
					"clientConfig": map[string]any{
						"caBundle": base64.StdEncoding.EncodeToString([]byte("bundle")),
						"service":  map[string]any{"path": map[string]string{"pins": "/mutate"}[c.name]},
					},
				}}}}
			}
		}
	}
	return trust
}
