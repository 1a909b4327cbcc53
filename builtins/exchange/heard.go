package exchange

// Replay is the registry of a decision that was just made: it has what the decision was
// answered, as it is and under the names of the credentials that asked.
func (t Tape) Replay() *Replay {
	r := newReplay(nil)
	for _, log := range t.Logs {
		own := answers{}
		for _, e := range log.Exchanges() {
			one := known{Record{Call: e.Call, Error: written(e.Err)}, e.Answer}
			own.add(one)
			r.all.add(one)
		}
		question := Name(log.question)
		r.own[question], r.given[question] = own, log.Given()
	}
	for _, given := range t.Judged {
		r.given[given.Question] = &given
	}
	for _, p := range t.Pulled {
		r.pulls[pullKey(p.Namespace, p.Names)] = p
	}
	return r
}

// asked is a registry behind a replay.
type asked struct {
	registry Registry
	may      func() bool
}

// Asking has a replay ask a registry what it has no answer to, as often as may says so.
// What it does not ask is not recorded. It is to be called before the replay serves.
func (r *Replay) Asking(registry Registry, may func() bool) *Replay {
	r.asked = &asked{registry, may}
	return r
}
