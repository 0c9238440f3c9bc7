// Quizzes work without this file: every option unfolds its explanation. This remembers what you
// unfolded, in this browser only, and marks it in words.
(() => {
  const key = (question) => `quiz:${location.pathname.split("/").pop()}:${question.dataset.n}`;

  function store(name, value) {
    try {
      value === null ? localStorage.removeItem(name) : localStorage.setItem(name, value);
    } catch { /* private windows may refuse: answers are then forgotten */ }
  }
  function stored(name) {
    try { return localStorage.getItem(name); } catch { return null; }
  }

  function show(quiz) {
    let tried = 0, right = 0;
    const questions = [...quiz.querySelectorAll(".quiz-question")];
    for (const question of questions) {
      const order = (stored(key(question)) || "").split(",").filter(Boolean).map(Number);
      const options = [...question.querySelectorAll(".quiz-option")];
      options.forEach((option, i) => {
        const mark = option.querySelector(".quiz-mark");
        const seen = order.includes(i);
        option.classList.toggle("quiz-seen", seen);
        mark.textContent = seen ? (option.dataset.right === "true" ? "✓ right" : "✗ not this one") : "";
      });
      if (order.length) tried += 1;
      if (order.length && options[order[0]]?.dataset.right === "true") right += 1;
    }
    quiz.querySelector(".quiz-score").textContent = tried
      ? `${right} of ${questions.length} right at the first try (${tried} answered).`
      : "Choose an option to unfold what it says about your thinking. Answers stay in this browser.";
    quiz.querySelector(".quiz-clear").hidden = !tried;
  }

  document.querySelectorAll(".quiz").forEach((quiz, q) => {
    quiz.querySelectorAll(".quiz-question").forEach((question, n) => {
      question.dataset.n = `${q}.${n}`;
      question.querySelectorAll(".quiz-option").forEach((option, i) => {
        const mark = document.createElement("span");
        mark.className = "quiz-mark";
        option.querySelector("summary").append(" ", mark);
        option.addEventListener("toggle", () => {
          if (!option.open) return;
          const order = (stored(key(question)) || "").split(",").filter(Boolean);
          if (!order.includes(String(i))) store(key(question), [...order, i].join(","));
          show(quiz);
        });
      });
    });
    const foot = document.createElement("p");
    foot.className = "quiz-foot";
    foot.innerHTML = '<span class="quiz-score" role="status"></span> <button type="button" class="quiz-clear">Clear answers</button>';
    foot.querySelector("button").addEventListener("click", () => {
      quiz.querySelectorAll(".quiz-question").forEach((question) => store(key(question), null));
      quiz.querySelectorAll("details").forEach((option) => { option.open = false; });
      show(quiz);
      quiz.querySelector("summary").focus();
    });
    quiz.append(foot);
    show(quiz);
  });
})();
