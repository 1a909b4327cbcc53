// Package e2e_test tells how assay behaves in a cluster: on a real API server, with kubectl and
// the binary as it ships.
package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/registry"
	"github.com/assay-dev/assay/e2e/service"
	"github.com/assay-dev/assay/e2e/sigstore"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/tuf"
)

// TestStories are told in testdata/*.txtar. Each has a cluster of its own. Beside what every
// testscript has, they may say:
//
//	cluster [controllers]   start a control plane, with kube-controller-manager or without
//	world FILE              start the world of a file: its variables ($registry, ${app},
//	                        ${app@}, …) and trusted_root.json are there then
//	closeworld              close its registry: nobody answers there any more
//	sigstore                start a Sigstore: $issuer, $fulcio, $rekor, $timestamps, trusted_root.json,
//	                        signing_config.json, and in trustroot.yaml the same as TrustRoot sigstore;
//	                        in strange_trustroot.yaml it has another timestamp authority
//	login VARIABLE EMAIL    get a token for an identity
//	registry [USER PASSWORD]  start docker-registry: $registry
//	image NAME REPOSITORY:TAG  push an image: ${NAME}, ${NAME@}, ${digest:NAME}
//	cosign2 ARG…            run cosign v2
//	cosign3 ARG…            run cosign v3
//	expand FILE…            put variables into files; ${key:NAME} is what NAME.pub holds
//	install                 apply Service and webhook configurations as the chart has them with mutate=all
//	replica NAME ARG…       start assay serve behind the Service, wait until it is ready
//	renew NAME              write a new certificate over the one of a replica
//	terminate NAME          send a replica SIGTERM, want exit code 0
//	crash NAME              send it SIGKILL
//	waitfor NAME REGEXP     wait for a line of its log, later than those awaited before
//	metric NAME REGEXP      wait for a metric of a replica, a line that matches
//	ready NAME REGEXP       wait for a line of its /readyz?verbose
//	mirror serve FILE       start a TUF repository with FILE as its trusted_root.json: the TrustRoot
//	                        sigstore is remote.yaml by its URL, repository.yaml with all of it inside,
//	                        and in expired.yaml it has run out
//	mirror publish FILE     make FILE its trusted_root.json
//	mirror rotate           give it another key, and another root; what is published next has it
//	mirror down|up          let it answer nothing, or again
//	hold IMAGE              $slow is IMAGE at a registry that answers nothing until release
//	held                    wait until it was asked
//	release                 let it answer
//	apiserver stop|start    stop the API server, or start it again
//	kubectl ARG…            run kubectl as an administrator
//	assay ARG…              run assay
//	$condition              makes kubectl get print status, reason and message of an object's Ready
//	until REGEXP CMD ARG…   run kubectl or assay again until what it prints matches; a command
//	                        that changes something says the same when that is done already,
//	                        or has --dry-run=server
//	load FILE…              create the Pods of manifests, all the time, until endload
//	loaded N                wait until so many more are answered
//	endload                 stop, and print how many of each were created, denied and failed
func TestStories(t *testing.T) {
	t.Parallel()
	assay, err := buildAssay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			deploy, err := filepath.Abs("../deploy")
			if err != nil {
				return err
			}
			env.Setenv("deploy", deploy)
			env.Setenv("condition", `--output=jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.reason} {.message}{"\n"}{end}`)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("COSIGN_PASSWORD", "none")
			env.Setenv("PATH", filepath.Dir(assay)+string(os.PathListSeparator)+env.Getenv("PATH"))
			s := &story{assay: assay, t: env.T().(testing.TB), env: env, replicas: map[string]*replica{}}
			env.Values[storyKey{}] = s
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cluster":    told("[controllers]", 0, startCluster),
			"world":      told("FILE", 1, startWorld),
			"closeworld": told("", 0, closeWorld),
			"sigstore":   told("", 0, startSigstore),
			"login":      told("VARIABLE EMAIL", 2, login),
			"registry":   told("[USER PASSWORD]", 0, startRegistry),
			"image":      told("NAME REPOSITORY:TAG", 2, pushImage),
			"cosign2":    cosign(sigstore.Cosign2),
			"cosign3":    cosign(sigstore.Cosign3),
			"expand":     told("FILE…", 1, expandFiles),
			"install":    told("", 0, install),
			"manifests":  told("", 0, manifests),
			"deployed":   told("NAME ARG…", 1, deployed),
			"replica":    told("NAME ARG…", 1, startReplica),
			"renew":      told("NAME", 1, issue),
			"terminate":  told("NAME", 1, terminate),
			"crash":      told("NAME", 1, crash),
			"waitfor":    told("NAME REGEXP", 2, waitFor),
			"metric":     told("NAME REGEXP", 2, metric),
			"ready":      told("NAME REGEXP", 2, ready),
			"mirror":     told("serve|publish|rotate|down|up [FILE]", 1, mirror),
			"hold":       told("IMAGE", 1, hold),
			"held":       told("", 0, held),
			"release":    told("", 0, release),
			"apiserver":  told("stop|start", 1, switchAPIServer),
			"kubectl":    program("kubectl"),
			"assay":      program("assay"),
			"until":      told("REGEXP CMD ARG…", 2, until),
			"load":       told("FILE…", 1, startLoad),
			"loaded":     told("N", 1, loaded),
			"endload":    told("", 0, endLoad),
		},
	})
}

// story is what one script has running.
type story struct {
	assay     string // path of the binary
	t         testing.TB
	env       *testscript.Env
	cluster   *cluster.Cluster
	world     *world.World
	sigstore  *sigstore.Sigstore
	registry  *registry.Registry
	user      *registry.User // who may use the registry, nil for everybody
	authority *cluster.Authority
	service   *service.Service
	replicas  map[string]*replica
	load      *load
	roots     []byte // PEM
	mirror    *tuf.Mirror
	slow      *slowRegistry
}

type storyKey struct{}

func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// told makes a command of a function that wants at least so many arguments and cannot be negated.
func told(usage string, least int, run func(*testscript.TestScript, *story, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least {
			ts.Fatalf("usage: %s, not negated", usage)
		}
		run(ts, of(ts), args)
	}
}

// program makes a command of a binary in PATH. Negated, it has to fail.
func program(name string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		err := ts.Exec(name, args...)
		if !neg {
			ts.Check(err)
		} else if err == nil {
			ts.Fatalf("got success, want a failure")
		}
	}
}

func startCluster(ts *testscript.TestScript, s *story, args []string) {
	s.cluster = cluster.Start(s.t, cluster.Options{Controllers: len(args) > 0 && args[0] == "controllers"})
	ts.Setenv("KUBECONFIG", s.cluster.Kubeconfig)
	ts.Setenv("PATH", filepath.Dir(s.cluster.Tool("kubectl"))+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

func startWorld(ts *testscript.TestScript, s *story, args []string) {
	description, err := world.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	s.world, err = world.New(description)
	ts.Check(err)
	ts.Defer(func() { _ = s.world.Close() })
	root, err := s.world.TrustedRoot()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("trusted_root.json"), root, 0o600))
	ts.Setenv("registry", s.world.Registry())
	for name := range description.Images {
		for _, variable := range []string{name, name + "@", "digest:" + name} {
			ts.Setenv(variable, s.world.Expand("${"+variable+"}"))
		}
	}
}

func closeWorld(ts *testscript.TestScript, s *story, _ []string) { ts.Check(s.world.Close()) }

func expandFiles(ts *testscript.TestScript, s *story, files []string) {
	for _, file := range files {
		text := expand(ts, ts.ReadFile(file))
		if s.world != nil {
			text = s.world.Expand(text)
		}
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

func switchAPIServer(ts *testscript.TestScript, s *story, args []string) {
	switch args[0] {
	case "stop":
		s.cluster.StopAPIServer(s.t)
	case "start":
		s.cluster.StartAPIServer(s.t)
	default:
		ts.Fatalf("got %q, want stop or start", args[0])
	}
}

// patience is how long a story waits for what must happen. Nothing waits for it when all is well.
const patience = 2 * time.Minute

func until(ts *testscript.TestScript, s *story, args []string) {
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; {
		out, err := s.run(ts, args[1], args[2:]...)
		if want.Match(out) {
			_, err := ts.Stdout().Write(out)
			ts.Check(err)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("got no %s within %s, the last answer (%v) was:\n%s", want, patience, err, out)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// run runs a program of the story and gives all that it printed.
func (s *story) run(ts *testscript.TestScript, name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(s.t.Context(), name, args...)
	switch name {
	case "kubectl":
		command = exec.CommandContext(s.t.Context(), s.cluster.Tool(name), args...)
	case "assay":
		command = exec.CommandContext(s.t.Context(), s.assay, args...)
	}
	command.Dir = ts.MkAbs(".")
	command.Env = append(s.env.Vars, "KUBECONFIG="+ts.Getenv("KUBECONFIG"))
	return command.CombinedOutput()
}
