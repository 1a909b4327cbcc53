package capsule_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/capsule"
)

var token = regexp.MustCompile(`masked-[0-9a-f]{32}`)

func TestMask(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, review, want string
		places             []string
	}{{
		"containers of every kind",
		`{"request":{"object":{"spec":{"containers":[{"env":[{"name":"A","value":"hunter2"}]}],"initContainers":[{"env":[{"name":"B","value":"hunter2"}]}],"ephemeralContainers":[{"env":[{"name":"C","value":"hunter2"}]}]}}}}`,
		`{"request":{"object":{"spec":{"containers":[{"env":[{"name":"A","value":"#"}]}],"ephemeralContainers":[{"env":[{"name":"C","value":"#"}]}],"initContainers":[{"env":[{"name":"B","value":"#"}]}]}}}}`,
		[]string{"request.object.spec.containers[0].env[0].value", "request.object.spec.ephemeralContainers[0].env[0].value", "request.object.spec.initContainers[0].env[0].value"},
	}, {
		"the old object, and a template deep in it",
		`{"request":{"oldObject":{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":"hunter2"}]}]}}}}}}}}`,
		`{"request":{"oldObject":{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":"#"}]}]}}}}}}}}`,
		[]string{"request.oldObject.spec.jobTemplate.spec.template.spec.containers[0].env[0].value"},
	}, {
		"what kubectl applied last",
		`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"env\":[{\"name\":\"A\",\"value\":\"hunter2\"}]}}\n"}}}`,
		`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"env\":[{\"name\":\"A\",\"value\":\"#\"}]}}\n"}}}`,
		[]string{"metadata.annotations[kubectl.kubernetes.io/last-applied-configuration].spec.env[0].value"},
	}, {
		"an annotation of that name that is no JSON",
		`{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"env: hunter2"}}`,
		`{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"#"}}`,
		[]string{"annotations[kubectl.kubernetes.io/last-applied-configuration]"},
	}, {
		"a member that stands twice", `{"env":[{"value":"hunter2"}],"env":[]}`, `{"env":[]}`, nil,
	}, {
		"values that are no text", `{"env":[{"value":5},{"value":null},{"value":""},{"value":{"a":["hunter2"]}}]}`,
		`{"env":[{"value":"#"},{"value":null},{"value":""},{"value":{"a":["#"]}}]}`, []string{"env[0].value", "env[3].value.a[0]"},
	}, {
		"an environment as an object", `{"env":{"A":"hunter2"}}`, `{"env":{"A":"#"}}`, []string{"env.A"},
	}, {
		"an environment as images have it", `{"config":{"Env":["PATH=/bin","A=hunter2","B"]}}`, `{"config":{"Env":["PATH=#","A=#","B"]}}`,
		[]string{"config.Env[0]", "config.Env[1]"},
	}, {
		"the history of an image", `{"history":[{"created_by":"ENV A=hunter2"},{"created_by":"|1 T=hunter2 /bin/sh -c make"},{"created_by":"COPY . ."}]}`,
		`{"history":[{"created_by":"#"},{"created_by":"#"},{"created_by":"COPY . ."}]}`, []string{"history[0].created_by", "history[1].created_by"},
	}, {
		"a Secret", `{"object":{"kind":"Secret","data":{"a":"aHVudGVyMg=="},"stringData":{"b":"hunter2"}}}`,
		`{"object":{"data":{"a":"#"},"kind":"Secret","stringData":{"b":"#"}}}`, []string{"object.data.a", "object.stringData.b"},
	}, {
		"labels that are called env, by which policies are chosen",
		`{"request":{"object":{"metadata":{"labels":{"env":"prod"}},"spec":{"selector":{"matchLabels":{"env":"prod"}},"nodeSelector":{"env":"prod"}}}}}`,
		`{"request":{"object":{"metadata":{"labels":{"env":"prod"}},"spec":{"nodeSelector":{"env":"prod"},"selector":{"matchLabels":{"env":"prod"}}}}}}`, nil,
	}, {
		"what others than kubectl applied last",
		`{"annotations":{"kapp.k14s.io/original":"{\"env\":{\"A\":\"hunter2\"}}","objectset.rio.cattle.io/applied":"H4sIhunter2","banzaicloud.com/last-applied":"UEsDhunter2","a":"{no JSON}"}}`,
		`{"annotations":{"a":"{no JSON}","banzaicloud.com/last-applied":"#","kapp.k14s.io/original":"{\"env\":{\"A\":\"#\"}}","objectset.rio.cattle.io/applied":"#"}}`,
		[]string{"annotations[banzaicloud.com/last-applied]", "annotations[kapp.k14s.io/original].env.A", "annotations[objectset.rio.cattle.io/applied]"},
	}, {
		"what other kinds call an environment",
		`{"spec":{"extraEnv":[{"name":"A","value":"hunter2"}],"envVars":{"A":"hunter2"},"environmentVariables":[{"name":"A","content":"hunter2"}],"env":[{"A":"hunter2"}],"envFrom":[{"prefix":"p"}]}}`,
		`{"spec":{"env":[{"A":"#"}],"envFrom":[{"prefix":"p"}],"envVars":{"A":"#"},"environmentVariables":[{"content":"#","name":"A"}],"extraEnv":[{"name":"A","value":"#"}]}}`,
		[]string{"spec.envVars.A", "spec.env[0].A", "spec.environmentVariables[0].content", "spec.extraEnv[0].value"},
	}, {
		"where a value comes from", `{"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}`,
		`{"env":[{"name":"A","valueFrom":{"secretKeyRef":{"key":"k","name":"s"}}}]}`, nil,
	}, {
		"numbers as they were written", `{"a":1.0,"b":1e3,"c":12345678901234567890}`, `{"a":1.0,"b":1e3,"c":12345678901234567890}`, nil,
	}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mask := capsule.NewMask()
			masked, err := mask.Review([]byte(tt.review))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, token.ReplaceAllString(string(masked), "#")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tt.places, mask.Places()); diff != "" {
				t.Errorf("places: -want +got:\n%s", diff)
			}
		})
	}
}

func TestEqualValuesHaveEqualTokensInOneCapsuleOnly(t *testing.T) {
	t.Parallel()
	const review = `{"env":{"A":"hunter2","B":"hunter2","C":"other"}}`
	read := func() (out struct{ Env map[string]string }) {
		masked, err := capsule.NewMask().Review([]byte(review))
		if err == nil {
			err = json.Unmarshal(masked, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first, second := read().Env, read().Env
	if first["A"] != first["B"] || first["A"] == first["C"] {
		t.Errorf("got %v, want equal tokens of equal values", first)
	}
	if first["A"] == second["A"] {
		t.Errorf("got the same token %s in two capsules: a value could be guessed from it", first["A"])
	}
}

func TestMaskOfWhatTextsRepeat(t *testing.T) {
	t.Parallel()
	mask := capsule.NewMask()
	review, err := mask.Review([]byte(`{"image":"ghcr.io/acme/app","env":{"A":"hunter2","B":"the \"whole\"\nkey","C":"registry","D":"ghcr.io/acme/app","E":"hunter2-and-more"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"A is hunter2, twice hunter2":         "A is #, twice #",
		"hunter2-and-more":                    "#",
		"digest ahunter2b":                    "digest ahunter2b",
		"it is the \"whole\"\nkey":            "it is #",
		`{"B": "the \"whole\"\nkey"}`:         `{"B": "#"}`,
		"the registry of ghcr.io/acme/app:v1": "the registry of ghcr.io/acme/app:v1",
		"failed policy: \xff":                 "failed policy: \xff",
	} {
		if got := token.ReplaceAllString(mask.Repeated(text, review), "#"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add(`{"env":[{"name":"A","value":"hunter2"}]}`)
	f.Add(`{"kubectl.kubernetes.io/last-applied-configuration":"{\"env\":{\"a\":\"b\"}}"}`)
	f.Fuzz(func(t *testing.T, review string) {
		masked, err := capsule.NewMask().Review([]byte(review))
		if err != nil {
			return
		}
		if !json.Valid(masked) {
			t.Errorf("got %s, want JSON", masked)
		}
	})
}

// FuzzMaskHides looks for a way to write an environment in which its value is left.
func FuzzMaskHides(f *testing.F) {
	f.Add("A", "hunter2", "containers")
	f.Fuzz(func(t *testing.T, name, value, group string) {
		const secret = "s3cret-"
		review, err := json.Marshal(map[string]any{group: []any{map[string]any{"env": []any{map[string]any{"name": name, "value": secret + value}}}}})
		if err != nil || strings.Contains(name, secret) || strings.Contains(group, secret) {
			return
		}
		masked, err := capsule.NewMask().Review(review)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(masked), secret) {
			t.Errorf("got %s of %s", masked, review)
		}
	})
}
