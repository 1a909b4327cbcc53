package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// load creates Pods all the time, as many at once as there are workers.
type load struct {
	stop    chan struct{}
	workers sync.WaitGroup
	pods    []*pods
	answers atomic.Int64
}

// pods are those of one manifest, and what became of them.
type pods struct {
	file     string
	manifest *unstructured.Unstructured

	mu              sync.Mutex
	created, denied int
	failed          map[string]int // by message
}

// workers, of each manifest, keep two cores busy and requests waiting.
const workers = 2

func startLoad(ts *testscript.TestScript, s *story, files []string) {
	config, err := clientcmd.BuildConfigFromFlags("", s.cluster.Kubeconfig)
	ts.Check(err)
	config.QPS, config.Timeout = -1, patience // as fast as it answers
	client, err := dynamic.NewForConfig(config)
	ts.Check(err)
	s.load = &load{stop: make(chan struct{})}
	for _, file := range files {
		p := &pods{file: file, manifest: &unstructured.Unstructured{}, failed: map[string]int{}}
		ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(file)), &p.manifest.Object))
		s.load.pods = append(s.load.pods, p)
		resource := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"})
		for range workers {
			s.load.workers.Go(func() {
				for {
					_, err := resource.Namespace(p.manifest.GetNamespace()).Create(s.t.Context(), p.manifest, metav1.CreateOptions{})
					p.count(err)
					s.load.answers.Add(1)
					select {
					case <-s.load.stop:
						return
					default:
					}
				}
			})
		}
	}
	ts.Defer(s.load.end)
}

func (p *pods) count(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.created++
	case apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "denied the request"):
		p.denied++
	default:
		p.failed[err.Error()]++
	}
}

func loaded(ts *testscript.TestScript, s *story, args []string) {
	more, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	for want, late := s.load.answers.Load()+more, time.After(patience); s.load.answers.Load() < want; {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			ts.Fatalf("got %d answers within %s, want %d", s.load.answers.Load(), patience, want)
		}
	}
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.workers.Wait()
}

func endLoad(ts *testscript.TestScript, s *story, _ []string) {
	s.load.end()
	var out strings.Builder
	for _, p := range s.load.pods {
		failed := 0
		for _, times := range p.failed {
			failed += times
		}
		fmt.Fprintf(&out, "%s: created %d, denied %d, failed %d\n", p.file, p.created, p.denied, failed)
		for _, message := range slices.Sorted(maps.Keys(p.failed)) {
			fmt.Fprintf(&out, "  %d times: %s\n", p.failed[message], message)
		}
	}
	_, err := fmt.Fprint(ts.Stdout(), out.String())
	ts.Check(err)
}
