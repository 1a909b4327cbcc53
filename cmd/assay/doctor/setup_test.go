package doctor

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// deployed is the Deployment of the manifests.
func deployed(t *testing.T) shape.Deployment {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/manifests/4-deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, document, _ := strings.Cut(string(text), "\n---\n")
	var out shape.Deployment
	if err := yaml.Unmarshal([]byte(document), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheDeploymentSaysHowAssayIsStarted(t *testing.T) {
	t.Parallel()
	s := setupOf(deployed(t))
	if !s.known || s.account != "assay" || s.wanted != 2 || s.ready != 0 || s.secret != "webhook-certs" || !s.keeps() {
		t.Errorf("got %+v", s)
	}
	if s.flag("mutate", "") != "pods" || s.timeout() != 10*time.Second || s.service() != "webhook" || s.on("allow-private-registries") {
		t.Errorf("got flags %v", s.flags)
	}
	d := doctor{expected: installed(t), setup: s}
	if diff := cmp.Diff(d.expected.names(), d.configurations()); diff != "" {
		t.Errorf("configurations (-manifests +Deployment):\n%s", diff)
	}
	d.options.webhooks = []string{"ours"}
	if got := d.configurations(); len(got) != 1 || got[0] != "ours" {
		t.Errorf("got %v, want what somebody says", got)
	}
}

// TestWhatStartsAssayIsKnown, or nothing is said of its flags.
func TestWhatStartsAssayIsKnown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		command, args []string
		known         bool
	}{
		{"the image's own command", nil, []string{"serve", "--mutate=all"}, true},
		{"a command", []string{"/usr/bin/assay"}, []string{"serve", "--mutate=all"}, true},
		{"a command with all", []string{"assay", "serve", "--mutate", "all"}, nil, true},
		{"a shell", []string{"/bin/sh", "-c", "exec assay serve --mutate=all"}, nil, false},
		{"a shell, with arguments of its own", []string{"/bin/sh"}, []string{"serve", "--mutate=all"}, false},
		{"another command of assay", nil, []string{"verify", "--mutate=all"}, false},
		{"a variable", nil, []string{"serve", "--mutate=$(MUTATE)"}, false},
		{"nothing", nil, nil, false},
	} {
		d := deployed(t)
		d.Status.ReadyReplicas = 2
		container := &d.Spec.Template.Spec.Containers[0]
		container.Command, container.Args = tt.command, tt.args
		s := setupOf(d)
		if s.known != tt.known || (s.flag("mutate", "pods") == "all") != tt.known || s.account != "assay" {
			t.Errorf("%s: got %+v, want that it is known: %t", tt.name, s, tt.known)
		}
		if tt.known {
			want(t, judgeDeployment(s), "", "")
		} else {
			want(t, judgeDeployment(s), finding.Unknown, "got no container that runs assay serve")
		}
	}
}

// TestTheCertificateOfAnother is where the Deployment mounts it from.
func TestTheCertificateOfAnother(t *testing.T) {
	t.Parallel()
	d := deployed(t)
	pod := &d.Spec.Template.Spec
	pod.Containers[0].Args = []string{"serve", "--tls-cert=/etc/assay/tls/tls.crt", "--tls-key", "/etc/assay/tls/tls.key", "--allow-private-registries"}
	if s := setupOf(d); s.keeps() || s.secret != "" || !s.on("allow-private-registries") {
		t.Errorf("got %+v, want files that are in no Secret", s)
	}
	pod.Containers[0].VolumeMounts = []shape.Mount{{Name: "tls", MountPath: "/etc/assay/tls/"}}
	if err := yaml.Unmarshal([]byte(`[{name: other, emptyDir: {}}, {name: tls, secret: {secretName: assay-tls}}]`), &pod.Volumes); err != nil {
		t.Fatal(err)
	}
	if s := setupOf(d); s.secret != "assay-tls" {
		t.Errorf("got Secret %q, want assay-tls", s.secret)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ready, wanted int32
		status        finding.Status
		want          string
	}{
		{2, 2, "", ""},
		{3, 2, "", ""},
		{1, 2, finding.Warning, "got 1 of 2"},
		{0, 2, finding.Failure, "got 0 of 2"},
		{1, 1, finding.Warning, "got one replica"},
		{0, 0, finding.Failure, "nobody answers"},
	} {
		want(t, []finding.Finding{judgeReplicas(setup{ready: tt.ready, wanted: tt.wanted, name: "assay", namespace: "a"})}, tt.status, tt.want)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		of   options
		want string
	}{
		{"none", options{format: "text"}, ""},
		{"another form", options{format: "yaml"}, `--format: got "yaml", want text or json`},
		{"a Pod of no namespace", options{format: "json", pod: "a"}, "--pod: got a without --namespace, want both"},
		{"a Pod and an image", options{format: "json", namespace: "b", pod: "a", image: "c"}, "--image: got it with --pod a, want one of them"},
		{"a namespace for nothing", options{format: "json", namespace: "b"}, "--namespace: got b alone, want --pod or --image with it"},
		{"an image of nobody", options{format: "json", image: "c"}, ""},
	} {
		got := ""
		if err := tt.of.check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
