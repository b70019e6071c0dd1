// A card's markup. What changed is put into the nodes that are there: focus, selection and scrolling stay.
export default {
  template: `<div @click="act"></div>`,
  props: { content: String },
  mounted() {
    this.$el.innerHTML = this.content;
    window.lodeline.ages(this.$el);
  },
  watch: {
    content(now) {
      const made = document.createElement("div");
      made.innerHTML = now;
      patchChildren(this.$el, made);
      window.lodeline.ages(this.$el);
    },
  },
  methods: {
    act(event) {
      const button = event.target.closest("[data-act]");
      if (button) this.$emit("act", button.dataset.act);
    },
  },
};

function patchChildren(old, made) {
  const now = Array.from(made.childNodes);
  now.forEach((node, index) => {
    if (index < old.childNodes.length) patch(old.childNodes[index], node);
    else old.appendChild(node);
  });
  while (old.childNodes.length > now.length) old.lastChild.remove();
}

function patch(old, made) {
  if (old.nodeName !== made.nodeName) {
    old.replaceWith(made);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== made.data) old.data = made.data;
  } else {
    for (const { name } of Array.from(old.attributes)) {
      if (!made.hasAttribute(name) && name !== "open") old.removeAttribute(name); // the viewer opens details
    }
    for (const { name, value } of made.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (!made.dataset.ageOf) patchChildren(old, made); // the browser writes ages
  }
}
