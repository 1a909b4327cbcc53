package fleet

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/plain"
)

// Candidate is what became of a candidate in one cluster, its replicas together.
type Candidate struct {
	Cluster string `json:"cluster"`
	// Replicas are those that try it, and Of those of the cluster that were heard of lately.
	Replicas int `json:"replicas"`
	Of       int `json:"of"`
	// Verdict is that of the rule, and Why its cause.
	Verdict canary.Verdict `json:"verdict"`
	Why     string         `json:"why"`
	// Report is without examples, and of differences and policies has the most frequent.
	Report canary.Report `json:"report"`
}

// same is what reports of one candidate have in common.
type same struct{ cluster, name, revision, digest, content string }

// candidates are those that clusters try. Of replicas that are not heard of any more a report lies
// there for ever, and is about nobody.
func candidates(all []*known, replicas []Replica, q question) []Candidate {
	alive, reports := map[string]int{}, map[same][]canary.Report{}
	for i, k := range all {
		if slices.Contains(replicas[i].States, Stale) || slices.Contains(replicas[i].States, Unknown) {
			continue
		}
		alive[k.cluster]++
		if s := k.update.standing; s != nil && s.Canary != nil {
			of := same{k.cluster, s.Canary.Name, s.Canary.Revision, s.Canary.Digest, s.Canary.Content}
			reports[of] = append(reports[of], *s.Canary)
		}
	}
	out := []Candidate{}
	for of, those := range reports {
		out = append(out, candidate(of.cluster, alive[of.cluster], those, q))
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		return strings.Compare(a.key(), b.key())
	})
	return out
}

func (c Candidate) key() string {
	return fmt.Sprintf("%s %q %q %q %q", c.Cluster, c.Report.Name, c.Report.Revision, c.Report.Digest, c.Report.Content)
}

// candidate joins the reports of the replicas of a cluster. What does not fit together lets nothing
// serve, nor does a replica that does not try it yet: of it nobody knows.
func candidate(cluster string, alive int, reports []canary.Report, q question) Candidate {
	out := Candidate{Cluster: cluster, Replicas: len(reports), Of: alive}
	var err error
	if out.Report, err = canary.Together(reports...); err != nil {
		out.Report, out.Verdict, out.Why = reports[0], canary.Wait, brief(err.Error())
		return out
	}
	rule := q.rule
	rule.Now = func() time.Time { return q.now }
	out.Verdict, out.Why = out.Report.Verdict(rule)
	if out.Verdict == canary.Promote && out.Replicas < alive {
		out.Verdict, out.Why = canary.Wait, fmt.Sprintf("replicas: got %d that try it, want all %d", out.Replicas, alive)
	}
	// A replica has a difference once, and a cluster as often as it has replicas.
	out.Report.Differences = merged(out.Report.Differences)
	out.Report = out.Report.Brief()
	out.Why = brief(out.Why)
	return out
}

// merged adds up differences that are the same, the most frequent first.
func merged(all []canary.Difference) []canary.Difference {
	at, out := map[string]int{}, []canary.Difference{}
	for _, d := range all {
		i, known := at[d.Key()]
		if !known {
			at[d.Key()] = len(out)
			out = append(out, d)
			continue
		}
		out[i].Count += d.Count
		out[i].Last = later(out[i].Last, d.Last)
		if d.First.Before(out[i].First) {
			out[i].First = d.First
		}
	}
	slices.SortStableFunc(out, func(a, b canary.Difference) int { return int(min(max(b.Count-a.Count, -1), 1)) })
	return out
}

// candidates prints them, with what is different most often.
func (r *Report) candidates(out *strings.Builder) {
	if r.Candidates == nil {
		return
	}
	if len(r.Candidates) == 0 {
		out.WriteString("no cluster tries a candidate\n")
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tCANDIDATE\tREVISION\tREPLICAS\tTRIED FOR\tSAME\tDIFFER\tUNKNOWN\tNOT JUDGED\tVERDICT")
	for _, c := range r.Candidates {
		tried := seconds(int64(max(c.Report.At.Sub(c.Report.Since), 0).Seconds()))
		fmt.Fprintf(t, "%s\t%s\t%s\t%d/%d\t%s\t%d\t%d\t%d\t%d\t%s\n", shown(c.Cluster), shown(c.Report.Name), shown(c.Report.Revision), c.Replicas, c.Of, tried,
			c.Report.Decisions[canary.Same], c.Report.Differing(), c.Report.Decisions[canary.Unknown], c.Report.Dropped, c.Verdict)
	}
	_ = t.Flush() // into memory
	for _, c := range r.Candidates {
		where := plain.Line(c.Cluster + ": candidate " + c.Report.Name + " " + c.Report.Revision)
		fmt.Fprintf(out, "%s: %s: %s\n", where, c.Verdict, plain.Line(c.Why))
		for _, d := range c.Report.Differences[:min(len(c.Report.Differences), r.top)] {
			fmt.Fprintf(out, "  %6d  %s\n", d.Count, plain.Line(d.Key()))
		}
	}
}
