// Not before the page is here whole: to leave earlier would break off its own request.
document.addEventListener("DOMContentLoaded", function () {
  var key = "portcullis.post." + document.getElementById("resume").dataset.key;
  var kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(key));
    sessionStorage.removeItem(key);
  } catch (broken) {
    kept = null;
  }
  var usable = kept && Array.isArray(kept.fields) && typeof kept.action === "string" && Date.now() < kept.until;
  if (!usable || new URL(kept.action, location.href).origin !== location.origin) {
    document.getElementById("waiting").hidden = true;
    document.getElementById("lost").hidden = false;
    return;
  }
  var form = document.createElement("form");
  form.method = "post";
  form.action = kept.action;
  // Appended at once: a field named "appendChild" would hide the form's own.
  var inputs = document.createDocumentFragment();
  kept.fields.forEach(function (field) {
    var input = document.createElement("input");
    input.type = "hidden";
    input.name = field[0];
    input.value = field[1];
    inputs.appendChild(input);
  });
  form.appendChild(inputs);
  document.body.appendChild(form);
  HTMLFormElement.prototype.submit.call(form);
});
